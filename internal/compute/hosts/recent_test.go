package hosts

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/hostlink"
)

type everything struct{}

func (everything) EnsureHost(context.Context, Provider) error         { return nil }
func (everything) RemoveHost(context.Context, string) error           { return nil }
func (everything) Alive(string) bool                                  { return true }
func (everything) HostUse(context.Context) (map[string]Use, error)    { return nil, nil }
func (everything) OnHost(context.Context, string) ([]Resident, error) { return nil, nil }

// Decisions about places look at all hosts: from memory, as long as nobody
// changes one, and never at what this server has changed since.
func TestRecentHosts(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, now := t.Context(), clock.NewFake(time.Unix(1_800_000_000, 0))
		one := New(d, now, everything{}, everything{}, everything{}, "server-1")
		other := New(d, now, everything{}, everything{}, everything{}, "server-2")
		recent := func(s *Hosts) []*Host {
			t.Helper()
			all, err := s.Recent(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		if n := len(recent(one)); n != 0 {
			t.Fatalf("%d hosts", n)
		}
		for _, name := range []string{"a", "b"} {
			if err := one.Seen(ctx, hostlink.Facts{Host: name, ID: name}); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(recent(one)); n != 2 {
			t.Fatalf("%d hosts, after two came", n)
		}
		recent(other)
		before := d.Counts().Queries
		recent(one)
		if asked := d.Counts().Queries - before; asked != 0 {
			t.Errorf("%d statements although nothing has changed", asked)
		}
		if _, err := one.change(ctx, "a", event.Record{Service: "compute", Action: "update", Kind: "host"}, func(r *row) { r.Disabled = true }); err != nil {
			t.Fatal(err)
		}
		if recent(one)[0].Usable() {
			t.Error("a host that was disabled is still usable")
		}
		now.Advance(staleAfter)
		if recent(other)[0].Usable() {
			t.Error("another server does not know after a second")
		}
		zone := func(tx *db.Tx) error { return one.SetZone(ctx, tx, "b", "far") }
		if err := d.Write(ctx, zone); err != nil {
			t.Fatal(err)
		}
		if got := recent(one)[1].Zone; got != "far" {
			t.Errorf("zone is %q", got)
		}
		if err := one.remove(ctx, "b", event.Record{Service: "compute", Action: "delete", Kind: "host"}); err != nil {
			t.Fatal(err)
		}
		if n := len(recent(one)); n != 1 {
			t.Errorf("%d hosts, after one was removed", n)
		}
	})
}

// asked notes which hosts somebody wants to know of.
type asked struct {
	everything
	names *[]string
}

func (a asked) Alive(name string) bool {
	*a.names = append(*a.names, name)
	return true
}

// Who waits for one host looks at that one, however many there are.
func TestRecentByName(t *testing.T) {
	var names []string
	s := New(dbtest.One(t), clock.NewFake(time.Unix(1_800_000_000, 0)), everything{}, asked{names: &names}, everything{}, "server-1")
	for _, name := range []string{"c", "a", "b"} {
		if err := s.Seen(t.Context(), hostlink.Facts{Host: name, ID: "id of " + name}); err != nil {
			t.Fatal(err)
		}
	}
	names = nil
	for _, name := range []string{"a", "b", "c", "d", ""} {
		h, err := s.RecentByName(t.Context(), name)
		if there := name != "" && name != "d"; err != nil || (h != nil) != there || there && h.ID != "id of "+name {
			t.Errorf("%q: %+v %v", name, h, err)
		}
	}
	if names = slices.Compact(names); !slices.Equal(names, []string{"a", "b", "c"}) {
		t.Errorf("it was looked at %v", names)
	}
}
