package ports

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/netip"
	"sync"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/network/hostnet"
)

// Applier is the hostlink.Applier of section Ports.
type Applier struct {
	driver hostnet.Driver
	log    *slog.Logger

	mu    sync.RWMutex
	ports map[string]hostnet.Port // of the document applied last
}

// New makes the applier of a host.
func New(driver hostnet.Driver, log *slog.Logger) *Applier {
	return &Applier{driver: driver, log: log, ports: map[string]hostnet.Port{}}
}

// Apply makes the host's ports those of the document.
func (a *Applier) Apply(ctx context.Context, doc hostlink.Document, report func(...hostlink.ObjectReport)) error {
	var want hostnet.Document
	if err := json.Unmarshal(doc.Body, &want); err != nil {
		return fault.Invalidf("the document of ports cannot be read").Because(err)
	}
	if err := a.prune(ctx, want.Ports, report); err != nil {
		return err
	}
	a.remember(want.Ports)
	pending, failed := map[string]bool{}, 0
	var made []hostnet.Port
	problems := a.driver.Ensure(ctx, want.Ports)
	if ctx.Err() != nil {
		return ctx.Err() // a newer document, or the end: nothing is said about ports
	}
	for _, p := range want.Ports {
		if err := problems[p.ID]; err != nil {
			failed++
			a.log.Warn("port not made", "port", p.ID, "error", err)
			report(hostlink.ObjectReport{ID: p.ID, Phase: phaseOf(err), Error: "the host could not connect the port"})
			continue
		}
		pending[p.ID] = true
		made = append(made, p)
	}
	if err := a.driver.Metadata(ctx, made); err != nil {
		return err
	}
	if err := a.await(ctx, pending, report); err != nil {
		return err
	}
	if failed > 0 {
		return fault.Unavailablef("%d ports could not be made", failed)
	}
	return nil
}

// phaseOf tells whether a port that could not be made will be tried again: a
// switch that does not answer is being restarted, a wrong port stays wrong.
func phaseOf(err error) hostlink.Phase {
	if fault.Is(err, fault.Invalid) {
		return hostlink.Failed
	}
	return hostlink.Pending
}

// prune removes the ports that are on the host and not wanted.
func (a *Applier) prune(ctx context.Context, want []hostnet.Port, report func(...hostlink.ObjectReport)) error {
	wanted := map[string]bool{}
	for _, p := range want {
		wanted[p.ID] = true
	}
	here, err := a.driver.Inventory(ctx)
	if err != nil {
		return err
	}
	var stray []string
	var gone []hostlink.ObjectReport
	for _, s := range here {
		if !wanted[s.ID] {
			stray, gone = append(stray, s.ID), append(gone, hostlink.ObjectReport{ID: s.ID, Phase: hostlink.Absent})
		}
	}
	if len(stray) == 0 {
		return nil
	}
	if err := a.driver.Remove(ctx, stray...); err != nil {
		return err
	}
	report(gone...)
	return nil
}

// await reports ports as the switch begins to forward for them, until it does
// for all. What is ready already is reported again under this document.
func (a *Applier) await(ctx context.Context, pending map[string]bool, report func(...hostlink.ObjectReport)) error {
	told := map[string]bool{}
	for {
		here, err := a.driver.Inventory(ctx)
		if err != nil {
			return err
		}
		var news []hostlink.ObjectReport
		for _, s := range here {
			switch {
			case !pending[s.ID]:
			case s.Wired:
				delete(pending, s.ID)
				news = append(news, hostlink.ObjectReport{ID: s.ID, Phase: hostlink.Ready})
			case !told[s.ID]:
				told[s.ID] = true
				news = append(news, hostlink.ObjectReport{ID: s.ID, Phase: hostlink.Pending})
			}
		}
		if len(news) > 0 {
			report(news...)
		}
		if len(pending) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-a.driver.Changed():
		}
	}
}

func (a *Applier) remember(ports []hostnet.Port) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ports = make(map[string]hostnet.Port, len(ports))
	for _, p := range ports {
		a.ports[p.ID] = p
	}
}

// ServerAt tells whose port a connection to the metadata listener came from.
func (a *Applier) ServerAt(peer netip.Addr) (serverID string, ok bool) {
	portID, ok := a.driver.Ingress(peer)
	if !ok {
		return "", false
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	p, ok := a.ports[portID]
	return p.ServerID, ok && p.ServerID != ""
}

// Inventory lists the ports on the host.
func (a *Applier) Inventory(ctx context.Context) ([]hostlink.ObjectReport, error) {
	here, err := a.driver.Inventory(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]hostlink.ObjectReport, 0, len(here))
	for _, s := range here {
		phase := hostlink.Pending
		if s.Wired {
			phase = hostlink.Ready
		}
		out = append(out, hostlink.ObjectReport{ID: s.ID, Phase: phase})
	}
	return out, nil
}

// Command refuses: the section has no one-shots.
func (a *Applier) Command(context.Context, hostlink.Command) (json.RawMessage, error) {
	return nil, fault.New(fault.NotImplemented, "ports take no commands")
}

// Stream refuses: the section has no streams.
func (a *Applier) Stream(context.Context, string, json.RawMessage) (io.ReadWriteCloser, error) {
	return nil, fault.New(fault.NotImplemented, "ports have no streams")
}
