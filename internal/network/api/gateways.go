package networkapi

import (
	"context"
	"slices"
	"time"

	"github.com/mekcloud/mek/internal/network/northbound"
)

// settle is how long after this server's start a host that held gateways
// before may take to say hello.
const settle = 15 * time.Second

// watchGateways is how often it is looked whether that time is over for a host.
const watchGateways = 5 * time.Second

// holders remembers which hosts hold gateways, the most wanted first. Moving
// one costs a second of traffic, so it stays where it is while its host lives,
// through restarts of this server too: what the northbound database says is
// where it begins.
type holders struct {
	known bool
	list  []string
}

// gateways lists the hosts that may hold gateways, the most wanted first.
func (s *Service) gateways(ctx context.Context, d northbound.Database) ([]string, error) {
	var live, silent []string
	for _, h := range s.listHosts() {
		if h.Alive {
			live = append(live, h.Name)
			continue
		}
		silent = append(silent, h.Name)
	}
	bound, err := s.records.BoundHosts(ctx)
	if err != nil {
		return nil, err
	}
	slices.Sort(bound)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.holders.known {
		s.holders = holders{true, d.Gateways()}
	}
	settling := s.deps.Clock.Now().Sub(s.started) < settle
	expected := func(name string) bool { // one that was never seen may still come; one that was lost is lost
		return settling && !slices.Contains(silent, name)
	}
	s.holders.list = chooseGateways(s.holders.list, s.deps.Home, live, append(silent, bound...), expected)
	return slices.Clone(s.holders.list), nil
}

// chooseGateways puts hosts in order. Those that hold gateways now stay in
// front while they are there; others follow, home first. One host alone is
// named where there are fewer than three: OVN's own failover needs a third to
// tell a dead neighbour from a cut cable, and a dead host in the list would
// keep the living one from serving. Where nobody lives, everything stays as it is.
func chooseGateways(holding []string, home string, live, others []string, expected func(string) bool) []string {
	var out []string
	add := func(name string) {
		if name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	for _, name := range holding {
		if slices.Contains(live, name) || expected(name) {
			add(name)
		}
	}
	if slices.Contains(live, home) {
		add(home)
	}
	for _, name := range live {
		add(name)
	}
	if len(out) == 0 {
		for _, name := range append(slices.Clone(holding), others...) {
			add(name)
		}
	}
	if len(out) < 3 {
		return out[:min(1, len(out))]
	}
	return out
}

// gatewaysStay looks whether the hosts in the northbound database are still
// those that should hold gateways: a host that does not come back after a
// restart of this server loses no lease that anybody would tell of.
func (s *Service) gatewaysStay(context.Context) error {
	s.mu.Lock()
	before, known := s.holders.list, s.holders.known
	s.mu.Unlock()
	if !known {
		return nil
	}
	live := map[string]bool{}
	for _, h := range s.listHosts() {
		live[h.Name] = h.Alive
	}
	if s.deps.Clock.Now().Sub(s.started) < settle {
		return nil
	}
	if len(before) > 0 && !live[before[0]] && len(s.deps.Agents.Names()) > 0 {
		s.queue.All()
	}
	return nil
}
