package ovs

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/nftables"

	"github.com/mekcloud/mek/internal/network/hostnet"
)

// A switch in userspace reads a tap beside the host's own stack, which gets
// every frame, too: it would answer a guest's questions for the host's
// addresses, and take what is sent to them. So the packet filter drops all that
// comes in by a tap, behind the point where the switch reads. The kernel's
// datapath stands in front of the stack and leaves nothing to it; there the
// filter would come first.

// sealsTogether is how many taps one change of the packet filter seals: the kernel
// answers each part of it, and has to have room for all answers.
const sealsTogether = 32

// seal keeps the host's stack from what comes in by taps.
func (d *Driver) seal(ctx context.Context, taps []tap) error {
	if !d.cfg.Userspace {
		return nil
	}
	d.sealMu.Lock()
	defer d.sealMu.Unlock()
	open := slices.DeleteFunc(slices.Clone(taps), func(t tap) bool { return d.sealed[t.name] == t.index })
	if len(open) == 0 {
		return nil
	}
	if err := d.cfg.Ledger.Record(ctx, hostnet.Change{Kind: "nft-table", Name: "netdev " + d.cfg.prefix()}); err != nil {
		return err
	}
	for some := range slices.Chunk(open, sealsTogether) {
		err := d.filter(func(c *nftables.Conn, table *nftables.Table) {
			for _, t := range some {
				dropChain(c, table, t.name) // it may be of a link that is gone
				c.AddChain(&nftables.Chain{Table: table, Name: t.name, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookIngress,
					Priority: nftables.ChainPriorityFilter, Device: t.name, Policy: new(nftables.ChainPolicyDrop)})
			}
		})
		if err != nil {
			return fmt.Errorf("packet filter of %d taps: %w", len(open), err)
		}
		for _, t := range some {
			d.sealed[t.name] = t.index
		}
	}
	return nil
}

// unseal forgets taps that are gone.
func (d *Driver) unseal(names ...string) error {
	if !d.cfg.Userspace || len(names) == 0 {
		return nil
	}
	d.sealMu.Lock()
	defer d.sealMu.Unlock()
	for some := range slices.Chunk(names, sealsTogether) {
		err := d.filter(func(c *nftables.Conn, table *nftables.Table) {
			for _, name := range some {
				delete(d.sealed, name)
				dropChain(c, table, name)
			}
		})
		if err != nil {
			return fmt.Errorf("packet filter of %d taps: %w", len(names), err)
		}
	}
	return nil
}

// filter changes the packet filter of taps in one transaction. The caller holds sealMu.
func (d *Driver) filter(change func(*nftables.Conn, *nftables.Table)) error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	change(c, c.AddTable(&nftables.Table{Family: nftables.TableFamilyNetdev, Name: d.cfg.prefix()}))
	return c.Flush()
}

// dropChain removes the chain of a tap, if there is one: it is added first, so that
// deleting it cannot fail.
func dropChain(c *nftables.Conn, table *nftables.Table, name string) {
	c.DelChain(c.AddChain(&nftables.Chain{Table: table, Name: name}))
}
