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
// through restarts of this server too, and when another server takes the lead:
// where a term as the leader begins, the northbound database says who holds them.
// Only a home gets them back, the host on a server's machine: floating addresses
// are reached through its own external bridge. One home is as good as another.
type holders struct {
	known bool // this server has decided, once at least
	list  []string
	home  time.Time // since when this server's home host answers; zero: it does not
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

// first is the host that holds gateways now; empty: none does.
func first(holding []string) string {
	if len(holding) == 0 {
		return ""
	}
	return holding[0]
}

// homes are the hosts on the machines of all servers.
func (s *Service) homes(ctx context.Context) ([]string, error) {
	if s.deps.Homes == nil {
		return []string{s.deps.Home}, nil
	}
	return s.deps.Homes(ctx)
}

// gateways lists the hosts that may hold gateways, the most wanted first.
func (s *Service) gateways(ctx context.Context, d northbound.Database, m northbound.Moment) ([]string, error) {
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
	homes, err := s.homes(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	holding := s.holders.list
	if m == northbound.Beginning || !s.holders.known {
		if held := d.Gateways(); len(held) > 0 { // else the database is empty, and where they were is where they go
			holding = held
		}
	}
	now := s.deps.Clock.Now()
	s.holders.homeIs(slices.Contains(live, s.deps.Home), now)
	home, stays := s.deps.Home, s.holders.homeStays(now)
	if first := first(holding); slices.Contains(homes, first) && slices.Contains(live, first) {
		home, stays = first, false // they are at home
	}
	settling := now.Sub(s.started) < settle
	expected := func(name string) bool { // one that was never seen may still come; one that was lost is lost
		return settling && !slices.Contains(silent, name)
	}
	list := chooseGateways(holding, home, stays, live, append(silent, bound...), expected)
	if m != northbound.Looking {
		s.holders.known, s.holders.list = true, list
	}
	return slices.Clone(list), nil
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
func (s *Service) gatewaysStay(ctx context.Context) error {
	homes, err := s.homes(ctx)
	if err != nil {
		return err
	}
	live := map[string]bool{}
	for _, h := range s.listHosts() {
		live[h.Name] = h.Alive
	}
	now := s.deps.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holders.homeIs(live[s.deps.Home], now)
	first := first(s.holders.list)
	if !s.holders.known || first == "" {
		return nil
	}
	lost := !live[first] && len(s.deps.Agents.Names()) > 0 && now.Sub(s.started) >= settle
	if lost || !slices.Contains(homes, first) && s.holders.homeStays(now) {
		s.queue.All()
	}
	return nil
}
