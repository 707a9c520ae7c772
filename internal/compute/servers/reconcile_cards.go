package servers

import (
	"context"
	"errors"
	"slices"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/network"
)

// cardsAtOnce is how many servers' ports are asked for at a time.
const cardsAtOnce = 200

// withdrawCards takes cards away whose ports are no longer the server's: their
// users may delete a port, or take it back, by the network's API alone.
func (s *Servers) withdrawCards(ctx context.Context) error {
	var all error
	err := s.cardWalk.next(ctx, s.store, cardsRun, listing.Query{}.And("task_state", listing.Eq, ""), func(page []*glimpse) error {
		for some := range slices.Chunk(page, cardsAtOnce) {
			all = errors.Join(all, s.withdrawSome(ctx, some))
		}
		return nil
	})
	return errors.Join(all, err)
}

func (s *Servers) withdrawSome(ctx context.Context, some []*glimpse) error {
	ids := make([]string, len(some))
	for i, one := range some {
		ids[i] = one.ID
	}
	// Cards are read first: a port that comes meanwhile is not missed.
	cards, err := nicsOf(ctx, s.DB, ids...)
	if err != nil {
		return err
	}
	ports, err := s.Networks.Interfaces(ctx, ids...)
	if err != nil {
		return err
	}
	for id, list := range cards {
		if gone := withoutPort(list, ports[id]); len(gone) > 0 {
			err = errors.Join(err, s.withdraw(ctx, id, gone))
		}
	}
	return err
}

// withoutPort are the cards that none of the ports belongs to.
func withoutPort(cards []*NIC, ports []network.Interface) []*NIC {
	var out []*NIC
	for _, n := range cards {
		if !slices.ContainsFunc(ports, func(i network.Interface) bool { return i.PortID == n.PortID }) {
			out = append(out, n)
		}
	}
	return out
}

// withdraw takes cards away, unless a saga is at work on the server.
func (s *Servers) withdraw(ctx context.Context, serverID string, cards []*NIC) error {
	return s.DB.Write(ctx, func(tx *db.Tx) error {
		one, err := lockServer(ctx, tx, serverID)
		if isGone(err) {
			return nil
		}
		if err != nil {
			return err
		}
		live, err := s.Tasks.Live(ctx, tx, serverID)
		if err != nil || len(live) > 0 || one.Task != compute.NoTask {
			return err
		}
		for _, n := range cards {
			s.Log.Info("a server's port is gone, and so is its card", "server", serverID, "port", n.PortID)
			if err := dropNIC(ctx, tx, n.PortID); err != nil {
				return err
			}
		}
		if one.Host == "" {
			return nil
		}
		_, err = s.raise(ctx, tx, one.Host, serverID)
		return err
	})
}
