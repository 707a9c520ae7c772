package ovs

import (
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/knftables"

	"github.com/mekcloud/mek/internal/network/hostnet"
)

// A switch in userspace reads a tap beside the host's own stack, which gets
// every frame, too: it would answer a guest's questions for the host's
// addresses, and take what is sent to them. So the packet filter drops all that
// comes in by a tap, behind the point where the switch reads. The kernel's
// datapath stands in front of the stack and leaves nothing to it; there the
// filter would come first.

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
	table := d.cfg.prefix()
	if err := d.cfg.Ledger.Record(ctx, hostnet.Change{Kind: "nft-table", Name: "netdev " + table}); err != nil {
		return err
	}
	nft, err := d.filter()
	if err != nil {
		return err
	}
	tx := nft.NewTransaction()
	tx.Add(&knftables.Table{})
	for _, t := range open {
		dropChain(tx, t.name) // it may be of a link that is gone
		tx.Add(&knftables.Chain{Name: t.name, Type: knftables.PtrTo(knftables.FilterType), Hook: knftables.PtrTo(knftables.IngressHook),
			Priority: knftables.PtrTo(knftables.FilterPriority), Device: &t.name})
		tx.Add(&knftables.Rule{Chain: t.name, Rule: "drop"})
	}
	if err := nft.Run(ctx, tx); err != nil {
		return fmt.Errorf("packet filter of %d taps: %w", len(open), err)
	}
	for _, t := range open {
		d.sealed[t.name] = t.index
	}
	return nil
}

// filter is how the packet filter of taps is changed. To make it takes as long as
// two changes, so it is made once. The caller holds sealMu.
func (d *Driver) filter() (knftables.Interface, error) {
	if d.nft != nil {
		return d.nft, nil
	}
	nft, err := knftables.New(knftables.NetDevFamily, d.cfg.prefix())
	if err != nil {
		return nil, fmt.Errorf("packet filter: %w", err)
	}
	d.nft = nft
	return nft, nil
}

// unseal forgets taps that are gone.
func (d *Driver) unseal(ctx context.Context, names ...string) error {
	if !d.cfg.Userspace || len(names) == 0 {
		return nil
	}
	d.sealMu.Lock()
	defer d.sealMu.Unlock()
	nft, err := d.filter()
	if err != nil {
		return err
	}
	tx := nft.NewTransaction()
	tx.Add(&knftables.Table{})
	for _, name := range names {
		delete(d.sealed, name)
		dropChain(tx, name)
	}
	if err := nft.Run(ctx, tx); err != nil {
		return fmt.Errorf("packet filter of %d taps: %w", len(names), err)
	}
	return nil
}

// dropChain removes the chain of a tap, if there is one: it is added first, so that
// deleting it cannot fail.
func dropChain(tx *knftables.Transaction, name string) {
	tx.Add(&knftables.Chain{Name: name})
	tx.Delete(&knftables.Chain{Name: name})
}
