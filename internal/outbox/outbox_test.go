package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/outbox"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func add(t *testing.T, d *db.DB, object string, fail error) {
	t.Helper()
	ctx := event.WithActor(context.Background(), event.Actor{UserID: "u", RequestID: "req-1"})
	err := d.Write(ctx, func(tx *db.Tx) error {
		r := event.Record{Service: "compute", Action: "create", Kind: "server", Object: object, Payload: map[string]any{"n": 1, "a": []string{"x"}}}
		return errors.Join(outbox.Write(ctx, tx, r), fail)
	})
	if !errors.Is(err, fail) {
		t.Error(err)
	}
}

func TestPublishedInOrderOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		if err := outbox.Verify(ctx, d); err != nil {
			t.Errorf("empty: %v", err)
		}
		const n = 600
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for i := range n / 4 {
					add(t, d, fmt.Sprintf("%d-%d", w, i), nil)
				}
			})
			wg.Go(func() {
				for range 20 {
					if _, err := outbox.Publish(ctx, d); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		add(t, d, "refused", errors.New("refused"))
		if _, err := outbox.Publish(ctx, d); err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		var last int64
		for {
			page, err := outbox.Read(ctx, d, last, 100)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, e := range page {
				if e.Sequence != last+1 || seen[e.Record.Object] || e.Record.UserID != "u" || e.Record.RequestID != "req-1" || len(e.Hash) != 64 {
					t.Fatalf("after %d: %+v", last, e)
				}
				last, seen[e.Record.Object] = e.Sequence, true
			}
		}
		if last != n {
			t.Errorf("%d published", last)
		}
		if err := outbox.Verify(ctx, d); err != nil {
			t.Error(err)
		}
	})
}

func TestVerifySeesTampering(t *testing.T) {
	for name, statement := range map[string]string{
		"changed":   `UPDATE outbox_records SET body = '{"service":"compute","action":"delete","kind":"server","object":"1"}' WHERE sequence = 2`,
		"removed":   `DELETE FROM outbox_records WHERE sequence = 2`,
		"cut":       `DELETE FROM outbox_records WHERE sequence = 3`,
		"reordered": `UPDATE outbox_records SET sequence = 5 - sequence WHERE sequence > 1`,
	} {
		t.Run(name, func(t *testing.T) {
			d, ctx := dbtest.SQLite(t), context.Background()
			for i := range 3 {
				add(t, d, fmt.Sprint(i), nil)
			}
			if n, err := outbox.Publish(ctx, d); n != 3 || err != nil {
				t.Fatal(n, err)
			}
			if err := outbox.Verify(ctx, d); err != nil {
				t.Fatal(err)
			}
			if err := d.Write(ctx, func(tx *db.Tx) error { _, err := tx.ExecContext(ctx, statement); return err }); err != nil {
				t.Fatal(err)
			}
			if err := outbox.Verify(ctx, d); err == nil {
				t.Error("not seen")
			}
		})
	}
}

// A server of the version before puts its records among the others: they are
// numbered, too, once each.
func TestRecordsOfTheVersionBeforeArePublished(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		add(t, d, "new", nil)
		for i, name := range []string{"old-1", "old-2"} {
			if err := d.Write(ctx, func(tx *db.Tx) error {
				_, err := tx.ExecContext(ctx, `INSERT INTO outbox_records (id, created_at, sequence, body, hash) VALUES ($1, $2, 0, '{"service":"compute","action":"create","kind":"server","object":"' || $1 || '"}', '')`, name, i)
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := outbox.Publish(ctx, d); n != 3 || err != nil {
			t.Errorf("%d published, %v", n, err)
		}
		list, err := outbox.Read(ctx, d, 0, 10)
		if err != nil || len(list) != 3 {
			t.Fatalf("%+v %v", list, err)
		}
		for i, object := range []string{"old-1", "old-2", "new"} {
			if list[i].Record.Object != object || list[i].Sequence != int64(i+1) {
				t.Errorf("number %d is %+v", i+1, list[i])
			}
		}
		if err := outbox.Verify(ctx, d); err != nil {
			t.Error(err)
		}
		if n, err := outbox.Publish(ctx, d); n != 0 || err != nil {
			t.Errorf("%d published again, %v", n, err)
		}
	})
}
