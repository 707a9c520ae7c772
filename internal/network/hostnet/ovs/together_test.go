package ovs_test

import (
	"context"
	"testing"

	"github.com/mekcloud/mek/internal/network/hostnet"
	"github.com/mekcloud/mek/internal/network/hostnet/ovs"
)

// hasty is a ledger that ends the call during which something is recorded.
type hasty struct{ noLedger }

var endOf = map[string]context.CancelFunc{}

func (hasty) Record(_ context.Context, changes ...hostnet.Change) error {
	for _, c := range changes {
		if end := endOf[c.Name]; end != nil {
			end()
		}
	}
	return nil
}

// TestPortsAreFinished: a newer document, which ends the call for the one before,
// finds ports that are joined to the switch, not links that it has to remove.
func TestPortsAreFinished(t *testing.T) {
	h := startHost(t, func(c *ovs.Config) { c.Ledger = hasty{} })
	p := hostnet.Port{ID: "aaaaaaaa-0000-4000-8000-000000000001", MAC: "fa:16:3e:00:01:0a", MTU: 1442}
	h.ports = append(h.ports, p)
	ctx, end := context.WithCancel(t.Context())
	endOf[hostnet.TapName(h.cfg.Hash, p.ID)] = end
	failed := h.drv.Ensure(ctx, h.ports)
	states, err := h.drv.Inventory(t.Context())
	if ctx.Err() == nil || len(failed) > 0 || err != nil || len(states) != 1 || states[0].ID != p.ID {
		t.Errorf("%v; on the host: %+v, %v", failed, states, err)
	}
	if f, err := h.drv.OpenTap(t.Context(), p.ID); err != nil {
		t.Error(err)
	} else {
		_ = f.Close()
	}
}
