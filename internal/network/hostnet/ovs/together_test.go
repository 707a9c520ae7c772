package ovs_test

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/mekcloud/mek/internal/fault"
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
	if out, err := exec.Command("nft", "list", "table", "netdev", "mk"+h.cfg.Hash[:4]).CombinedOutput(); h.cfg.Userspace && (err != nil || !strings.Contains(string(out), "policy drop")) {
		t.Errorf("the host's stack hears the tap: %v %s", err, out)
	}
	f, err := h.drv.OpenTap(t.Context(), p.ID)
	if err != nil {
		t.Fatal(err)
	}
	// A link that has its guest, or is just being made, is to be asked for again.
	if _, err := h.drv.OpenTap(t.Context(), p.ID); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a link in use opens for another: %v", err)
	}
	_ = f.Close()
	if f, err = h.drv.OpenTap(t.Context(), p.ID); err != nil {
		t.Errorf("a link that was let go of: %v", err)
	}
	_ = f.Close()
}

// TestManyPortsAreRemoved: the links of many ports go as one, no other goes with
// them, and a port that comes back is not taken for one that goes.
func TestManyPortsAreRemoved(t *testing.T) {
	h := startHost(t)
	var ids []string
	for i := range 12 {
		p := hostnet.Port{ID: fmt.Sprintf("%08x-0000-4000-8000-000000000001", i), MAC: fmt.Sprintf("fa:16:3e:00:02:%02x", i), MTU: 1442}
		h.ports, ids = append(h.ports, p), append(ids, p.ID)
	}
	if failed := h.drv.Ensure(t.Context(), h.ports); len(failed) > 0 {
		t.Fatal(failed)
	}
	left := func(want ...string) {
		t.Helper()
		list, err := netlink.LinkList()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range list {
			if l.Type() == "tuntap" && !strings.HasPrefix(l.Attrs().Name, h.cfg.Integration()[:6]+"m") && len(l.Attrs().Name) == 15 {
				got = append(got, l.Attrs().Name)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("links %v, want %v", got, want)
		}
	}
	if err := h.drv.Remove(t.Context(), append(ids[:10:10], "ffffffff-0000-4000-8000-000000000001")...); err != nil {
		t.Fatal(err)
	}
	left(hostnet.TapName(h.cfg.Hash, ids[10]), hostnet.TapName(h.cfg.Hash, ids[11]))
	if failed := h.drv.Ensure(t.Context(), h.ports[:1]); len(failed) > 0 {
		t.Fatal(failed)
	}
	if err := h.drv.Remove(t.Context(), ids[10:]...); err != nil {
		t.Fatal(err)
	}
	left(hostnet.TapName(h.cfg.Hash, ids[0]))
}
