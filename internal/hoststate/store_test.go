package hoststate_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/hoststate"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func TestRevisionsAreRaisedOncePerTransaction(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		if r, err := hoststate.Revision(ctx, d, "h", "guests"); r != 0 || err != nil {
			t.Errorf("before: %d, %v", r, err)
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		seen := map[int64]bool{}
		for range 50 {
			wg.Go(func() {
				var mine int64
				err := d.Write(ctx, func(tx *db.Tx) (err error) {
					mine, err = hoststate.Raise(ctx, tx, "h", "guests")
					return err
				})
				mu.Lock()
				defer mu.Unlock()
				if err != nil || seen[mine] {
					t.Errorf("%d twice, or %v", mine, err)
				}
				seen[mine] = true
			})
		}
		wg.Wait()
		if r, err := hoststate.Revision(ctx, d, "h", "guests"); r != 50 || err != nil {
			t.Errorf("after: %d, %v", r, err)
		}
		refused := errors.New("refused")
		if err := d.Write(ctx, func(tx *db.Tx) error {
			_, err := hoststate.Raise(ctx, tx, "h", "ports")
			return errors.Join(err, refused)
		}); !errors.Is(err, refused) {
			t.Error(err)
		}
		if r, err := hoststate.Revision(ctx, d, "h", "ports"); r != 0 || err != nil {
			t.Errorf("after a rollback: %d, %v", r, err)
		}
		if err := d.Write(ctx, func(tx *db.Tx) error { return hoststate.Forget(ctx, tx, "h") }); err != nil {
			t.Error(err)
		}
		if r, err := hoststate.Revision(ctx, d, "h", "guests"); r != 0 || err != nil {
			t.Errorf("forgotten: %d, %v", r, err)
		}
	})
}
