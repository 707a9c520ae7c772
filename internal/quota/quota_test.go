package quota_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/quota"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// things counts rows of toolkit_facts whose name begins with the project's.
func things(ctx context.Context, q db.Querier, project string) (n int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT COUNT(*) FROM toolkit_facts WHERE value = $1", project).Scan(&n)
	return n, err
}

func declare() *quota.Quota {
	return quota.New("test", quota.Resource{Name: "things", Default: 5, Count: things}, quota.Resource{Name: "size", Default: quota.Unlimited, Count: things},
		quota.Resource{Name: "items", Default: 3})
}

func TestExactlyTheFreeQuotaSucceeds(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		q, ctx := declare(), context.Background()
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := map[string]int{}
		for i := range 40 {
			wg.Go(func() {
				project := fmt.Sprint("p", i%2)
				err := d.Write(ctx, func(tx *db.Tx) error {
					if err := q.Check(ctx, tx, project, map[string]int64{"things": 1, "size": 100}); err != nil {
						return err
					}
					_, err := tx.ExecContext(ctx, "INSERT INTO toolkit_facts (name, value) VALUES ($1, $2)", fmt.Sprint(i), project)
					return err
				})
				switch {
				case err == nil:
					mu.Lock()
					won[project]++
					mu.Unlock()
				case !fault.Is(err, fault.OverQuota):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won["p0"] != 5 || won["p1"] != 5 {
			t.Errorf("accepted %v", won)
		}
		used, err := q.Usage(ctx, d, "p0")
		if err != nil || used["things"] != 5 || used["items"] != 0 {
			t.Errorf("usage %v, %v", used, err)
		}
	})
}

func TestLimitsAreLayered(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		q, ctx := declare(), context.Background()
		check := func(project string, deltas map[string]int64) (err error) {
			return d.Write(ctx, func(tx *db.Tx) error { return q.Check(ctx, tx, project, deltas) })
		}
		change := func(fn func(tx *db.Tx) error) {
			t.Helper()
			if err := d.Write(ctx, fn); err != nil {
				t.Fatal(err)
			}
		}
		err := check("p", map[string]int64{"things": 6, "items": 9})
		f := fault.As(err)
		if f.Kind != fault.OverQuota || f.Text != "Quota exceeded for things, items: Requested 6, 9, but already used 0, 0 of 5, 3 things, items" ||
			f.Detail["resource"] != "things" || f.Detail["limit"] != int64(5) || f.Detail["used"] != int64(0) || f.Detail["requested"] != int64(6) {
			t.Errorf("%v %v", err, f.Detail)
		}
		change(func(tx *db.Tx) error { return q.SetDefaults(ctx, tx, map[string]int64{"things": 7}) })
		if err := check("p", map[string]int64{"things": 7}); err != nil {
			t.Error(err)
		}
		change(func(tx *db.Tx) error { return q.Set(ctx, tx, "p", map[string]int64{"things": -1}) })
		change(func(tx *db.Tx) error { return q.Set(ctx, tx, "p", map[string]int64{"things": 2, "items": 0}) })
		if err := check("p", map[string]int64{"things": 3}); !fault.Is(err, fault.OverQuota) {
			t.Error(err)
		}
		if err := check("p", map[string]int64{"things": -3, "items": 0}); err != nil {
			t.Error(err)
		}
		if own, err := q.Own(ctx, d, "p"); err != nil || fmt.Sprint(own) != "map[items:0 things:2]" {
			t.Errorf("own %v, %v", own, err)
		}
		if l, err := q.Limits(ctx, d, "p"); err != nil || fmt.Sprint(l) != "map[items:0 size:-1 things:2]" {
			t.Errorf("limits %v, %v", l, err)
		}
		change(func(tx *db.Tx) error { return q.Delete(ctx, tx, "p") })
		if l, err := q.Limits(ctx, d, "p"); err != nil || fmt.Sprint(l) != "map[items:3 size:-1 things:7]" {
			t.Errorf("limits %v, %v", l, err)
		}
		if l, err := q.Defaults(ctx, d); err != nil || l["things"] != 7 {
			t.Errorf("defaults %v, %v", l, err)
		}
		for name, bad := range map[string]map[string]int64{"unknown": {"nonsense": 1}, "negative": {"things": -2}} {
			if err := d.Write(ctx, func(tx *db.Tx) error { return q.Set(ctx, tx, "p", bad) }); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := check("p", map[string]int64{"nonsense": 1}); !fault.Is(err, fault.Internal) {
			t.Error(err)
		}
	})
}

func TestRowsDeclareResources(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, kinds := context.Background(), []string{"gold"}
		q := declare().With(func(context.Context, db.Querier) ([]quota.Resource, error) {
			var out []quota.Resource
			for _, k := range kinds {
				out = append(out, quota.Resource{Name: "things_" + k, Default: quota.Unlimited, Count: things})
			}
			return out, nil
		})
		set := func(name string) error {
			return d.Write(ctx, func(tx *db.Tx) error { return q.Set(ctx, tx, "p", map[string]int64{name: 1}) })
		}
		if err := set("things_gold"); err != nil {
			t.Fatal(err)
		}
		if err := set("things_lead"); !fault.Is(err, fault.Invalid) {
			t.Errorf("a resource that no row declares: %v", err)
		}
		if l, err := q.Limits(ctx, d, "p"); err != nil || l["things_gold"] != 1 {
			t.Errorf("limits %v, %v", l, err)
		}
		check := func() error {
			return d.Write(ctx, func(tx *db.Tx) error { return q.Check(ctx, tx, "p", map[string]int64{"things": 1, "things_gold": 2}) })
		}
		if err := check(); !fault.Is(err, fault.OverQuota) || fault.As(err).Detail["resource"] != "things_gold" {
			t.Errorf("over the limit of a row: %v", err)
		}
		kinds = nil
		if l, err := q.Limits(ctx, d, "p"); err != nil || l["things_gold"] != 0 {
			t.Errorf("limits without the row %v, %v", l, err)
		}
		if used, err := q.Usage(ctx, d, "p"); err != nil || len(used) != 3 {
			t.Errorf("usage %v, %v", used, err)
		}
	})
}
