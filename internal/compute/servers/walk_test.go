package servers

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/scheduler"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
)

// A walk sees every server once in a round, in runs that look at no more than
// they may, and begins again at the end.
func TestWalkSeesEveryServerOnce(t *testing.T) {
	d := dbtest.One(t)
	const servers = 2*walkPage + 7
	if err := d.Write(t.Context(), func(tx *db.Tx) error {
		for i := range servers {
			if err := serverRows.Insert(t.Context(), tx, toRow(&Server{Server: compute.Server{ID: fmt.Sprintf("%08d", i), Serial: int64(i)}})); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	var w walk
	for round := range 2 {
		var seen []string
		for run, want := range []int{walkPage, walkPage, 7} {
			before := len(seen)
			err := w.next(t.Context(), store{d}, walkPage, listing.Query{}.And("task_state", listing.Eq, ""), func(page []*glimpse) error {
				for _, one := range page {
					seen = append(seen, one.ID)
				}
				return nil
			})
			if err != nil || len(seen)-before != want {
				t.Fatalf("round %d, run %d: %d servers, %v; want %d", round, run, len(seen)-before, err, want)
			}
		}
		if len(slices.Compact(slices.Sorted(slices.Values(seen)))) != servers {
			t.Errorf("round %d: some were seen twice", round)
		}
	}
}

// many is a cloud whose hosts nobody may look at all at once.
type many struct {
	Hosts
	Agents
	t  *testing.T
	up map[string]bool
}

func (m many) Alive(string) bool { return false }

func (m many) SchedulerHosts(context.Context) ([]scheduler.Host, error) {
	m.t.Error("all hosts were read for the sake of one")
	return nil, nil
}

func (m many) SchedulerHost(_ context.Context, name string) (scheduler.Host, bool, error) {
	up, found := m.up[name]
	return scheduler.Host{Name: name, Up: up}, found, nil
}

// Everybody who waits for a host looks now and then whether it is down.
func TestLostLooksAtOneHost(t *testing.T) {
	m := many{t: t, up: map[string]bool{"up": true, "down": false}}
	s := &Servers{Deps: Deps{Agents: m, Hosts: m}}
	for name, want := range map[string]bool{"up": false, "down": true, "removed": true} {
		if got := s.lost(t.Context(), name); (got != nil) != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if _, err := s.hostNamed(t.Context(), "removed"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a host that is not there: %v", err)
	}
}
