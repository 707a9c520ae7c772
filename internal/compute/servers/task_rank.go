package servers

import (
	"context"
	"maps"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/scheduler"
	"github.com/mekcloud/mek/internal/placement"
)

// rankedHosts is how many hosts are tried one after the other.
const rankedHosts = 20

// rank asks Placement and the scheduler for the hosts that a flavor may go to.
func (s *Servers) rank(ctx context.Context, f compute.Flavor, local int, want scheduler.Want) ([]scheduler.Ranked, error) {
	byID, err := s.Hosts.SchedulerHostByID(ctx)
	if err != nil {
		return nil, err
	}
	ask := scheduler.Request(f, local, rankedHosts)
	ask.Emptiest = true
	if len(want.Last) > 0 {
		ask.Limit = 0 // soft rules come before free memory
	}
	var hosts []scheduler.Host
	var found placement.Candidates
	for _, silent := range []bool{false, true} { // those that are silent come last, whatever is free there
		var allowed []scheduler.Host
		ask.Only = func(root string) bool {
			h, ok := byID(root)
			ok = ok && h.Usable && h.Silent == silent && want.Allows(h)
			if ok {
				allowed = append(allowed, h)
			}
			return ok
		}
		more, err := s.Placement.Candidates(ctx, ask)
		if err != nil {
			return nil, err
		}
		hosts = append(hosts, allowed...)
		found = joined(found, more)
		if len(found.List) >= rankedHosts {
			break
		}
	}
	ranked := scheduler.Order(want, hosts, found)
	if len(ranked) == 0 {
		return nil, s.whyNowhere(ctx, f, local)
	}
	return ranked[:min(len(ranked), rankedHosts)], nil
}

// joined are the candidates of both.
func joined(a, b placement.Candidates) placement.Candidates {
	if a.Providers == nil {
		return b
	}
	a.List = append(a.List, b.List...)
	maps.Copy(a.Providers, b.Providers)
	return a
}

// whyNowhere says what was missing: room, or a host that may be taken.
func (s *Servers) whyNowhere(ctx context.Context, f compute.Flavor, local int) error {
	found, err := s.Placement.Candidates(ctx, scheduler.Request(f, local, 1))
	switch {
	case err != nil:
		return err
	case len(found.List) == 0:
		return errNoHost("There are not enough hosts available.")
	}
	return errNoHost("No host that is up has room and is in the zone, group or place asked for.")
}
