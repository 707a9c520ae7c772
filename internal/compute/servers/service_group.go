package servers

import (
	"context"
	"maps"
	"slices"

	"github.com/mekcloud/mek/internal/compute/scheduler"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
)

// together adds to w what the server's group asks, as q sees its members.
func (s *Servers) together(ctx context.Context, q db.Querier, one *Server, rule GroupRule, w *scheduler.Want) error {
	members, err := neighbours(ctx, q, one)
	if err != nil {
		return err
	}
	hosts := slices.Sorted(maps.Keys(members))
	switch rule.Policy {
	case "affinity":
		if len(hosts) > 0 {
			w.Same = scheduler.Both(w.Same, hosts)
		}
	case "anti-affinity":
		for _, host := range hosts {
			if members[host] >= max(rule.MaxPerHost, 1) {
				w.Different = append(w.Different, host)
			}
		}
	case "soft-affinity":
		w.Last = map[string]int{}
		for host, n := range members {
			w.Last[host] = -n
		}
	case "soft-anti-affinity":
		w.Last = members
	}
	return nil
}

// groupWants is together for the decision; a group that is gone asks nothing.
func (s *Servers) groupWants(ctx context.Context, one *Server, w *scheduler.Want) error {
	if one.GroupID == "" || s.Groups == nil {
		return nil
	}
	rule, err := s.Groups.Rule(ctx, one.ProjectID, one.GroupID)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.together(ctx, s.DB, one, rule, w)
}

// groupAllows leaves of the ranked hosts those that the server's group still
// allows, and puts those first that it would rather have, in the transaction that claims one: other members may have been
// placed since the decision. The group is held until the transaction ends.
func (s *Servers) groupAllows(ctx context.Context, tx *db.Tx, one *Server, ranked []scheduler.Ranked) ([]scheduler.Ranked, error) {
	if one.GroupID == "" || s.Groups == nil {
		return ranked, nil
	}
	rule, err := s.Groups.Lock(ctx, tx, one.GroupID)
	if fault.Is(err, fault.NotFound) {
		return ranked, nil
	}
	if err != nil {
		return nil, err
	}
	var w scheduler.Want
	if err := s.together(ctx, tx, one, rule, &w); err != nil {
		return nil, err
	}
	left := slices.DeleteFunc(slices.Clone(ranked), func(r scheduler.Ranked) bool { return !w.Allows(r.Host) })
	w.Prefer(left)
	return left, nil
}
