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

// homecoming is how long the home host is back before gateways return to it:
// its flows must be in, and it must be there to stay.
const homecoming = 10 * time.Second

// watchGateways is how often it is looked whether one of these times is over.
const watchGateways = 5 * time.Second

// holders remembers which hosts hold gateways, the most wanted first. Moving
// one costs a second of traffic, so it stays where it is while its host lives,
// through restarts of this server too: what the northbound database says is
// where it begins. Only home gets them back: floating addresses are reached
// through its own external bridge.
type holders struct {
	known bool
	list  []string
	home  time.Time // since when the home host answers; zero: it does not
}

// homeIs notes whether the home host answers. The caller holds mu.
func (h *holders) homeIs(alive bool, now time.Time) {
	switch {
	case !alive:
		h.home = time.Time{}
	case h.home.IsZero():
		h.home = now
	}
}

func (h *holders) homeStays(now time.Time) bool {
	return !h.home.IsZero() && now.Sub(h.home) >= homecoming
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
		s.holders.known, s.holders.list = true, d.Gateways()
	}
	now := s.deps.Clock.Now()
	s.holders.homeIs(slices.Contains(live, s.deps.Home), now)
	settling := now.Sub(s.started) < settle
	expected := func(name string) bool { // one that was never seen may still come; one that was lost is lost
		return settling && !slices.Contains(silent, name)
	}
	s.holders.list = chooseGateways(s.holders.list, s.deps.Home, s.holders.homeStays(now), live, append(silent, bound...), expected)
	return slices.Clone(s.holders.list), nil
}

// chooseGateways puts hosts in order. Home comes first once it stays; those
// that hold gateways now go before others while they are there. One host alone is
// named where there are fewer than three: OVN's own failover needs a third to
// tell a dead neighbour from a cut cable, and a dead host in the list would
// keep the living one from serving. Where nobody lives, everything stays as it is.
func chooseGateways(holding []string, home string, stays bool, live, others []string, expected func(string) bool) []string {
	var out []string
	add := func(name string) {
		if name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	if stays {
		add(home)
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
	live := map[string]bool{}
	for _, h := range s.listHosts() {
		live[h.Name] = h.Alive
	}
	now := s.deps.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holders.homeIs(live[s.deps.Home], now)
	if !s.holders.known || len(s.holders.list) == 0 {
		return nil
	}
	first := s.holders.list[0]
	lost := !live[first] && len(s.deps.Agents.Names()) > 0 && now.Sub(s.started) >= settle
	if lost || first != s.deps.Home && s.holders.homeStays(now) {
		s.queue.All()
	}
	return nil
}
