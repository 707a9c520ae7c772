package records_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/placement"
	"github.com/mekcloud/mek/internal/placement/records"
	"github.com/mekcloud/mek/internal/placement/search"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func each(t *testing.T, test func(t *testing.T, d *db.DB, s *records.Store)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		test(t, d, records.New(d, clock.NewFake(time.Unix(1_700_000_000, 0))))
	})
}

func ctx(t *testing.T) context.Context { return t.Context() }

// host makes a provider with 8 VCPU and 4096 MEMORY_MB.
func host(t *testing.T, s *records.Store, name string) placement.Host {
	t.Helper()
	h := placement.Host{UUID: id.New(), Name: name, Traits: []string{"COMPUTE_NODE"},
		Inventories: map[string]placement.Inventory{placement.VCPU: placement.Units(8), placement.MemoryMB: placement.Units(4096)}}
	if err := s.EnsureProvider(ctx(t), h); err != nil {
		t.Fatal(err)
	}
	return h
}

func claim(consumer, provider string, vcpus int64) placement.Claim {
	return placement.Claim{Consumer: placement.Consumer{UUID: consumer, ProjectID: "p1", UserID: "u1", Type: "INSTANCE"},
		Allocations: placement.Allocations{provider: {placement.VCPU: vcpus}}}
}

func doClaim(t *testing.T, d *db.DB, s *records.Store, c placement.Claim) error {
	t.Helper()
	return d.Write(ctx(t), func(tx *db.Tx) error { return s.Claim(ctx(t), tx, c) })
}

func entry(t *testing.T, s *records.Store, uuid string) *search.Entry {
	t.Helper()
	e, err := s.Provider(ctx(t), uuid)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestClaimAndRelease(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, s *records.Store) {
		h, server := host(t, s, "cn1"), id.New()
		before := entry(t, s, h.UUID).Generation
		for range 2 { // a step may run twice
			if err := doClaim(t, d, s, claim(server, h.UUID, 5)); err != nil {
				t.Fatal(err)
			}
		}
		e := entry(t, s, h.UUID)
		if e.Used[placement.VCPU] != 5 || e.Generation != before+1 {
			t.Errorf("used %v at generation %d, which was %d", e.Used, e.Generation, before)
		}
		if err := doClaim(t, d, s, claim(id.New(), h.UUID, 4)); !fault.Is(err, fault.Conflict) {
			t.Errorf("a claim over the capacity: %v", err)
		}
		c, ok, err := s.Consumer(ctx(t), server)
		if err != nil || !ok || c.Generation != 1 || c.Type != "INSTANCE" {
			t.Errorf("consumer %+v, %v, %v", c, ok, err)
		}
		if err := d.Write(ctx(t), func(tx *db.Tx) error { return s.Release(ctx(t), tx, server) }); err != nil {
			t.Fatal(err)
		}
		if _, ok, _ := s.Consumer(ctx(t), server); ok || entry(t, s, h.UUID).Used[placement.VCPU] != 0 {
			t.Error("something is left after the release")
		}
		if err := d.Write(ctx(t), func(tx *db.Tx) error { return s.Release(ctx(t), tx, server) }); err != nil {
			t.Errorf("a second release: %v", err)
		}
	})
}

func TestClaimRollsBackWithItsCaller(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, s *records.Store) {
		h, given := host(t, s, "cn1"), errors.New("the caller gives up")
		err := d.Write(ctx(t), func(tx *db.Tx) error {
			if err := s.Claim(ctx(t), tx, claim(id.New(), h.UUID, 5)); err != nil {
				return err
			}
			return given
		})
		if !errors.Is(err, given) || entry(t, s, h.UUID).Used[placement.VCPU] != 0 {
			t.Errorf("%v; used %v", err, entry(t, s, h.UUID).Used)
		}
	})
}

func TestClaimsRefused(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, s *records.Store) {
		h, seven := host(t, s, "cn1"), int64(7)
		with := func(edit func(c *placement.Claim)) placement.Claim {
			c := claim(id.New(), h.UUID, 1)
			edit(&c)
			return c
		}
		for name, tc := range map[string]struct {
			claim placement.Claim
			kind  fault.Kind
			code  string
		}{
			"no such provider":   {with(func(c *placement.Claim) { c.Allocations = placement.Allocations{id.New(): {"VCPU": 1}} }), fault.Invalid, ""},
			"no such class":      {with(func(c *placement.Claim) { c.Allocations[h.UUID]["CUSTOM_X"] = 1 }), fault.Invalid, "ResourceClassNotFound"},
			"no inventory":       {with(func(c *placement.Claim) { c.Allocations[h.UUID]["DISK_GB"] = 1 }), fault.Conflict, ""},
			"below the minimum":  {with(func(c *placement.Claim) { c.Allocations[h.UUID]["VCPU"] = 0 }), fault.Conflict, ""},
			"unknown generation": {with(func(c *placement.Claim) { c.Generation = placement.Expected{Check: true, Value: &seven} }), fault.Conflict, placement.CodeConcurrentUpdate},
		} {
			if err := doClaim(t, d, s, tc.claim); !fault.Is(err, tc.kind) || fault.As(err).Code != tc.code {
				t.Errorf("%s: %v with code %q", name, err, fault.As(err).Code)
			}
		}
		if used := entry(t, s, h.UUID).Used; used[placement.VCPU] != 0 {
			t.Errorf("used %v", used)
		}
	})
}

// Sixty consumers race for a host with room for eight; exactly eight win.
func TestClaimsNeverExceedCapacity(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, s *records.Store) {
		h := host(t, s, "cn1")
		var mu sync.Mutex
		var group sync.WaitGroup
		won := 0
		for range 60 {
			group.Go(func() {
				err := d.Write(ctx(t), func(tx *db.Tx) error { return s.Claim(ctx(t), tx, claim(id.New(), h.UUID, 1)) })
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					won++
				case !fault.Is(err, fault.Conflict):
					t.Errorf("a claim failed with %v", err)
				}
			})
		}
		group.Wait()
		if used := entry(t, s, h.UUID).Used[placement.VCPU]; won != 8 || used != 8 {
			t.Errorf("%d claims won, %d used", won, used)
		}
	})
}

func TestOverCommittedMayShrink(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, s *records.Store) {
		h, server := host(t, s, "cn1"), id.New()
		if err := doClaim(t, d, s, claim(server, h.UUID, 8)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.SetInventories(ctx(t), h.UUID, nil, map[string]placement.Inventory{placement.VCPU: placement.Units(4), placement.MemoryMB: placement.Units(1)}); err != nil {
			t.Fatal(err)
		}
		if err := doClaim(t, d, s, claim(server, h.UUID, 9)); !fault.Is(err, fault.Conflict) {
			t.Errorf("from 8 to 9 where 4 are: %v", err)
		}
		if err := doClaim(t, d, s, claim(server, h.UUID, 7)); err != nil { // better than it was
			t.Errorf("from 8 to 7 where 4 are: %v", err)
		}
		if err := doClaim(t, d, s, claim(id.New(), h.UUID, 1)); !fault.Is(err, fault.Conflict) {
			t.Errorf("another where 4 are and 7 used: %v", err)
		}
	})
}

func TestInventoryInUseStays(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, s *records.Store) {
		h := host(t, s, "cn1")
		if err := doClaim(t, d, s, claim(id.New(), h.UUID, 1)); err != nil {
			t.Fatal(err)
		}
		for name, err := range map[string]error{
			"inventory": s.DeleteInventory(ctx(t), h.UUID, placement.VCPU), "provider": s.DeleteProvider(ctx(t), h.UUID), "removal": s.RemoveProvider(ctx(t), h.UUID),
		} {
			if !fault.Is(err, fault.Conflict) {
				t.Errorf("%s in use: %v", name, err)
			}
		}
	})
}

func TestEnsureProvider(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, s *records.Store) {
		h := host(t, s, "cn1")
		first := entry(t, s, h.UUID)
		if err := s.EnsureProvider(ctx(t), h); err != nil || entry(t, s, h.UUID).Generation != first.Generation {
			t.Errorf("ensuring the same changed the provider: %v", err)
		}
		if created, err := s.EnsureTrait(ctx(t), "CUSTOM_GOLD"); err != nil || !created {
			t.Fatal(created, err)
		}
		if _, err := s.SetTraits(ctx(t), h.UUID, nil, []string{"COMPUTE_NODE", "CUSTOM_GOLD"}); err != nil {
			t.Fatal(err)
		}
		h.Name, h.Traits, h.Aggregates = "cn1.example", []string{"COMPUTE_NODE", "HW_CPU_X86_AVX", "CUSTOM_EMULATED"}, []string{id.New()}
		h.Inventories[placement.VCPU] = placement.Inventory{Total: 16, Reserved: 2, MinUnit: 1, MaxUnit: 16, StepSize: 1, AllocationRatio: 4.5}
		if err := s.EnsureProvider(ctx(t), h); err != nil {
			t.Fatal(err)
		}
		e := entry(t, s, h.UUID)
		if !slices.Equal(e.Traits, []string{"COMPUTE_NODE", "CUSTOM_EMULATED", "CUSTOM_GOLD", "HW_CPU_X86_AVX"}) { // an operator's custom trait stays
			t.Errorf("traits %v", e.Traits)
		}
		if e.Name != "cn1.example" || !maps.Equal(e.Inventories, h.Inventories) || !slices.Equal(e.Aggregates, h.Aggregates) {
			t.Errorf("provider %+v", e)
		}
		child := placement.Host{UUID: id.New(), Name: "numa0", Parent: h.UUID, Inventories: map[string]placement.Inventory{}}
		if err := s.EnsureProvider(ctx(t), child); err != nil || entry(t, s, child.UUID).Root != h.UUID {
			t.Errorf("a child: %v, root %s", err, entry(t, s, child.UUID).Root)
		}
		if err := s.EnsureProvider(ctx(t), placement.Host{UUID: id.New(), Name: "cn1.example"}); !fault.Is(err, fault.Conflict) {
			t.Errorf("a second provider of the name: %v", err)
		}
		for range 2 {
			if err := s.RemoveProvider(ctx(t), h.UUID); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Provider(ctx(t), child.UUID); !fault.Is(err, fault.NotFound) {
			t.Errorf("the child of a removed provider: %v", err)
		}
	})
}

// A second server on the same database never answers from the past.
func TestIndexesOfTwoServersAgree(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, s *records.Store) {
		other := records.New(d, clock.Real{})
		request := placement.Request{Groups: []placement.Group{{Resources: placement.Resources{placement.VCPU: 8}}}}
		count := func() int {
			found, err := other.Candidates(ctx(t), request)
			if err != nil {
				t.Fatal(err)
			}
			return len(found.List)
		}
		if n := count(); n != 0 {
			t.Fatalf("%d candidates on nothing", n)
		}
		a, b := host(t, s, "a"), host(t, s, "b")
		if n := count(); n != 2 {
			t.Errorf("%d candidates, want 2", n)
		}
		if err := doClaim(t, d, s, claim(id.New(), a.UUID, 1)); err != nil {
			t.Fatal(err)
		}
		if n := count(); n != 1 {
			t.Errorf("%d candidates after a claim, want 1", n)
		}
		if err := s.RemoveProvider(ctx(t), b.UUID); err != nil {
			t.Fatal(err)
		}
		if n := count(); n != 0 {
			t.Errorf("%d candidates after the removal, want 0", n)
		}
	})
}

func TestUnknownNamesInRequests(t *testing.T) {
	each(t, func(t *testing.T, _ *db.DB, s *records.Store) {
		for _, g := range []placement.Group{{Resources: placement.Resources{"CUSTOM_NONE": 1}}, {Resources: placement.Resources{"COWS": 1}},
			{Resources: placement.Resources{"VCPU": 1}, Required: [][]string{{"CUSTOM_NONE"}}}, {Resources: placement.Resources{"VCPU": 1}, Forbidden: []string{"NONE"}}} {
			if _, err := s.Candidates(ctx(t), placement.Request{Groups: []placement.Group{g}}); !fault.Is(err, fault.Invalid) {
				t.Errorf("%+v: %v", g, err)
			}
		}
	})
}

// A claim on one of many hosts costs one host's rows, not all.
func BenchmarkClaim(b *testing.B) {
	d := dbtest.SQLite(b)
	s := records.New(d, clock.Real{})
	var hosts []string
	for i := range 200 {
		h := placement.Host{UUID: id.New(), Name: fmt.Sprint("h", i), Inventories: map[string]placement.Inventory{placement.VCPU: placement.Units(1 << 30)}}
		if err := s.EnsureProvider(b.Context(), h); err != nil {
			b.Fatal(err)
		}
		hosts = append(hosts, h.UUID)
	}
	n := 0
	for b.Loop() {
		n++
		if err := d.Write(b.Context(), func(tx *db.Tx) error { return s.Claim(b.Context(), tx, claim(id.New(), hosts[n%200], 1)) }); err != nil {
			b.Fatal(err)
		}
		if _, err := s.Candidates(b.Context(), placement.Request{Limit: 1, Groups: []placement.Group{{Resources: placement.Resources{placement.VCPU: 1}}}}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestTheIndexFollowsItsOwnChanges holds that an index which follows what this
// process allocates is the one that a new process reads, whatever else is
// changed and read meanwhile.
func TestTheIndexFollowsItsOwnChanges(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, s *records.Store) {
		var hosts []placement.Host
		for i := range 4 {
			hosts = append(hosts, host(t, s, fmt.Sprint("cn", i)))
		}
		var work sync.WaitGroup
		for worker := range 4 {
			work.Go(func() {
				consumer := id.New()
				for i := range 40 {
					h := hosts[(worker+i)%len(hosts)]
					var err error
					switch i % 5 {
					case 0, 1:
						err = doClaim(t, d, s, claim(consumer, h.UUID, int64(1+i%2)))
					case 2:
						err = s.Replace(ctx(t), []placement.Claim{claim(consumer, h.UUID, 2)})
					case 3:
						err = d.Write(ctx(t), func(tx *db.Tx) error { return s.Release(ctx(t), tx, consumer) })
					case 4:
						err = s.EnsureProvider(ctx(t), placement.Host{UUID: h.UUID, Name: h.Name, Traits: h.Traits,
							Inventories: map[string]placement.Inventory{placement.VCPU: placement.Units(int64(100 + i)), placement.MemoryMB: placement.Units(4096)}})
					}
					if err != nil && !fault.Is(err, fault.Conflict) {
						t.Error(err)
					}
					entry(t, s, h.UUID)
				}
			})
		}
		work.Wait()
		read := records.New(d, clock.NewFake(time.Unix(1_700_000_000, 0)))
		for _, h := range hosts {
			followed, fresh := entry(t, s, h.UUID), entry(t, read, h.UUID)
			if followed.Provider != fresh.Provider || !maps.Equal(followed.Used, fresh.Used) || !maps.Equal(followed.Inventories, fresh.Inventories) {
				t.Errorf("the index has %+v, the database %+v", followed, fresh)
			}
		}
		if d.Engine() == db.SQLite {
			before := d.Counts().Queries
			if entry(t, s, hosts[0].UUID); d.Counts().Queries != before {
				t.Errorf("%d statements, though nothing has changed", d.Counts().Queries-before)
			}
			c := claim(id.New(), hosts[0].UUID, 1)
			if err := doClaim(t, d, s, c); err != nil {
				t.Fatal(err)
			}
			before = d.Counts().Queries
			if e := entry(t, s, hosts[0].UUID); d.Counts().Queries > before+1 || e.Used[placement.VCPU] < 1 {
				t.Errorf("%d statements to follow a claim, %v", d.Counts().Queries-before, e.Used)
			}
		}
	})
}

// TestClaimsSeeInventoriesAsTheyAre: claims keep what a provider has, until it has
// something else or is gone.
func TestClaimsSeeInventoriesAsTheyAre(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB, s *records.Store) {
		h := host(t, s, "h1")
		if err := doClaim(t, d, s, claim(id.New(), h.UUID, 2)); err != nil {
			t.Fatal(err)
		}
		for _, total := range []int64{4, 16} {
			h.Inventories = map[string]placement.Inventory{placement.VCPU: placement.Units(total)}
			if err := s.EnsureProvider(ctx(t), h); err != nil {
				t.Fatal(err)
			}
			if err := doClaim(t, d, s, claim(id.New(), h.UUID, 8)); fault.Is(err, fault.Conflict) != (total < 8) {
				t.Errorf("8 of %d: %v", total, err)
			}
		}
		empty := host(t, s, "h2")
		server := id.New()
		if err := doClaim(t, d, s, claim(server, empty.UUID, 1)); err != nil {
			t.Fatal(err)
		}
		if err := d.Write(ctx(t), func(tx *db.Tx) error { return s.Release(ctx(t), tx, server) }); err != nil {
			t.Fatal(err)
		}
		if err := s.RemoveProvider(ctx(t), empty.UUID); err != nil {
			t.Fatal(err)
		}
		if err := doClaim(t, d, s, claim(id.New(), empty.UUID, 1)); !fault.Is(err, fault.Invalid) {
			t.Errorf("of a provider that is gone: %v", err)
		}
	})
}
