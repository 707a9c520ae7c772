package app

import (
	"context"
	"slices"
	"strconv"
	"strings"

	volumeapi "github.com/mekcloud/mek/internal/blockstorage/api"
	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/compute/servers"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/placement"
	placed "github.com/mekcloud/mek/internal/placement/records"
)

const reportIt = "report it with this line"

var (
	ghostConsumer = check.Code{ID: "I-06/ghost-consumer", Means: "something is allocated on a host for a server or a move that is gone", Remedy: "openstack resource provider allocation delete"}
	noAllocation  = check.Code{ID: "I-06/missing-allocation", Means: "a server or a move has no allocation on its host", Remedy: reportIt}
	wrongAmount   = check.Code{ID: "I-06/amount", Means: "a server's allocation is not what its flavor says", Remedy: reportIt}
	noAttachment  = check.Code{ID: "I-07/missing-attachment", Means: "a server has a volume that block storage does not know to be attached", Remedy: reportIt}
	noDisk        = check.Code{ID: "I-07/missing-disk", Means: "a volume is attached to a server that does not have it", Remedy: "openstack volume attachment delete"}
	noPort        = check.Code{ID: "I-03/missing-card-port", Means: "a server has a card whose port is gone or another's", Remedy: "openstack server remove port"}
	portOfNobody  = check.Code{ID: "I-04/port-of-nobody", Means: "a port that was made for a server holds addresses, and the server is gone or does not have it", Remedy: "openstack port delete"}
)

// across reads of every service what another one has to agree with.
type across struct {
	held    func(context.Context, *check.Look) (map[string]placed.Holder, error)
	volumes func(context.Context, *check.Look) ([]volumeapi.ServerVolume, error)
}

// checks compare services with each other. They read values and no tables: a
// service's rows are its own.
func (a across) checks() []check.Check {
	return []check.Check{
		{Name: "across/allocations", Codes: []check.Code{ghostConsumer, noAllocation, wrongAmount}, Rows: true, Run: func(ctx context.Context, l *check.Look) error {
			held, err := a.held(ctx, l)
			if err != nil {
				return err
			}
			want, err := servers.Holdings(ctx, l)
			if err != nil {
				return err
			}
			compareAllocations(l, held, want)
			return nil
		}},
		{Name: "across/volumes", Codes: []check.Code{noAttachment, noDisk}, Rows: true, Run: func(ctx context.Context, l *check.Look) error {
			disks, err := servers.VolumesOf(ctx, l)
			if err != nil {
				return err
			}
			attached, err := a.volumes(ctx, l)
			if err != nil {
				return err
			}
			compareVolumes(l, disks, attached)
			return nil
		}},
		{Name: "across/ports", Codes: []check.Code{noPort, portOfNobody}, Rows: true, Run: func(ctx context.Context, l *check.Look) error {
			cards, err := servers.PortsOf(ctx, l)
			if err != nil {
				return err
			}
			ports, err := records.ServerPorts(ctx, l)
			if err != nil {
				return err
			}
			comparePorts(l, cards, ports)
			return nil
		}},
	}
}

// compareAllocations compares what Placement counts with servers and moves.
// Consumers of other kinds are their makers' business.
func compareAllocations(l *check.Look, held map[string]placed.Holder, want []servers.Holding) {
	known := map[string]bool{}
	for _, w := range want {
		known[w.Consumer] = true
		at := check.Of("server", w.Server, w.Consumer)
		if w.Migration {
			at = check.Of("migration", w.Consumer, w.Server)
		}
		have := held[w.Consumer]
		if len(l.SagasOf(w.Server)) > 0 {
			continue // the steps of its saga move it about
		}
		for provider, what := range have.Of {
			if provider != w.Host {
				l.Report(ghostConsumer, at, "it has %s of host %s, and is on %q", amounts(what), provider, w.Host)
			}
		}
		if w.Host == "" {
			continue
		}
		what, ok := have.Of[w.Host]
		switch {
		case !ok:
			l.Report(noAllocation, at, "it is on host %s, where nothing is allocated for it", w.Host)
		case what[placement.VCPU] != w.VCPUs || what[placement.MemoryMB] != w.MemoryMiB || what[placement.DiskGB] > w.DiskGiB:
			l.Report(wrongAmount, at, "allocated are %s; its flavor says %d, %d, at most %d", amounts(what), w.VCPUs, w.MemoryMiB, w.DiskGiB)
		}
	}
	for id, h := range held {
		if !known[id] && (h.Type == "INSTANCE" || h.Type == "MIGRATION") {
			for provider, what := range h.Of {
				l.Report(ghostConsumer, check.Of("consumer", id), "it has %s of host %s, and there is no such server or move", amounts(what), provider)
			}
		}
	}
}

func amounts(r placement.Resources) string {
	var out []string
	for class, n := range r {
		out = append(out, class+"="+strconv.FormatInt(n, 10))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// compareVolumes compares the volumes of servers with attachments.
func compareVolumes(l *check.Look, disks []servers.Device, attached []volumeapi.ServerVolume) {
	type pair struct{ server, volume string }
	has, there := map[pair]bool{}, map[pair]bool{}
	for _, a := range attached {
		there[pair{a.Server, a.Volume}] = true
	}
	for _, d := range disks {
		p := pair{d.Server, d.Object}
		if has[p] = true; d.Defined && !there[p] {
			l.Report(noAttachment, check.Of("server", d.Server, d.Object), "it has volume %s, %s, and there is no attachment", d.Object, d.State)
		}
	}
	for _, a := range attached {
		if a.Status == "attached" && !has[pair{a.Server, a.Volume}] {
			l.Report(noDisk, check.Of("attachment", a.ID, a.Volume, a.Server), "volume %s is attached to server %s, which does not have it", a.Volume, a.Server)
		}
	}
}

// comparePorts compares the cards of servers with ports.
func comparePorts(l *check.Look, cards []servers.Device, ports map[string]records.ServerPort) {
	has := map[string]string{}
	for _, c := range cards {
		has[c.ID] = c.Server
		p, ok := ports[c.ID]
		if c.Defined && (!ok || p.Device != c.Server) {
			l.Report(noPort, check.Of("server", c.Server), "it has the card of port %s, whose device is %q", c.ID, p.Device)
		}
	}
	for id, p := range ports {
		if p.Planned && has[id] != p.Device {
			l.Report(portOfNobody, check.Of("port", id, p.Device), "it was made for server %s, which does not have it", p.Device)
		}
	}
}
