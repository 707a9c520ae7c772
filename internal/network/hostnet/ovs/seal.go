package ovs

import (
	"context"
	"fmt"

	"sigs.k8s.io/knftables"

	"github.com/mekcloud/mek/internal/network/hostnet"
)

// A switch in userspace reads a tap beside the host's own stack, which gets
// every frame, too: it would answer a guest's questions for the host's
// addresses, and take what is sent to them. So the packet filter drops all that
// comes in by a tap, behind the point where the switch reads. The kernel's
// datapath stands in front of the stack and leaves nothing to it; there the
// filter would come first.

// seal keeps the host's stack from what comes in by a tap.
func (d *Driver) seal(ctx context.Context, tap string, index int) error {
	d.sealMu.Lock()
	defer d.sealMu.Unlock()
	if !d.cfg.Userspace || d.sealed[tap] == index {
		return nil
	}
	table := d.cfg.prefix()
	if err := d.cfg.Ledger.Record(ctx, hostnet.Change{Kind: "nft-table", Name: "netdev " + table}); err != nil {
		return err
	}
	nft, err := knftables.New(knftables.NetDevFamily, table)
	if err != nil {
		return fmt.Errorf("packet filter: %w", err)
	}
	chain := &knftables.Chain{Name: tap, Type: knftables.PtrTo(knftables.FilterType), Hook: knftables.PtrTo(knftables.IngressHook),
		Priority: knftables.PtrTo(knftables.FilterPriority), Device: &tap}
	tx := nft.NewTransaction()
	tx.Add(&knftables.Table{})
	tx.Add(&knftables.Chain{Name: tap}) // so that deleting it cannot fail: it may be of a link that is gone
	tx.Delete(&knftables.Chain{Name: tap})
	tx.Add(chain)
	tx.Add(&knftables.Rule{Chain: tap, Rule: "drop"})
	if err := nft.Run(ctx, tx); err != nil {
		return fmt.Errorf("packet filter of %s: %w", tap, err)
	}
	d.sealed[tap] = index
	return nil
}

// unseal forgets a tap that is gone.
func (d *Driver) unseal(ctx context.Context, tap string) error {
	d.sealMu.Lock()
	defer d.sealMu.Unlock()
	if !d.cfg.Userspace {
		return nil
	}
	nft, err := knftables.New(knftables.NetDevFamily, d.cfg.prefix())
	if err != nil {
		return fmt.Errorf("packet filter: %w", err)
	}
	delete(d.sealed, tap)
	tx := nft.NewTransaction()
	tx.Add(&knftables.Table{})
	tx.Add(&knftables.Chain{Name: tap})
	tx.Delete(&knftables.Chain{Name: tap})
	if err := nft.Run(ctx, tx); err != nil {
		return fmt.Errorf("packet filter of %s: %w", tap, err)
	}
	return nil
}
