package servers

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/listing"
)

const (
	hostConverges = "wait for the host: it makes what is missing and removes what nobody claims; then look at the log of its mek agent"
	reportIt      = "report it with this line"
)

var (
	ghostGuest   = check.Code{ID: "I-01/ghost-guest", Means: "a guest on a host that shall not have it", Remedy: hostConverges}
	missingGuest = check.Code{ID: "I-01/missing-guest", Means: "a server without its guest on its host", Remedy: hostConverges}
	twoGuests    = check.Code{ID: "I-02/two-guests", Means: "one server runs on two hosts", Remedy: "stop one of the two hosts' guests at once: both write the same disks"}
	twoWriters   = check.Code{ID: "I-02/two-writers", Means: "two guests have a volume open that only one may have", Remedy: "stop one of the servers at once"}
	stalledGuest = check.Code{ID: "I-21/stalled", Means: "a guest stands still, since its host has no room for what it writes", Remedy: "make room on the host; the guest goes on by itself, where it was"}
	wrongPower   = check.Code{ID: "I-21/power", Means: "a server's power state is not that of its guest", Remedy: hostConverges}
	guestDisk    = check.Code{ID: "I-07/guest-disk", Means: "a running guest has other disks than its server", Remedy: hostConverges}
	guestCard    = check.Code{ID: "I-03/guest-card", Means: "a running guest has other cards than its server", Remedy: hostConverges}
	noSaga       = check.Code{ID: "I-13/server-task", Means: "a server is in between and no operation works on it", Remedy: "nothing: the task is ended within two minutes"}
	noObject     = check.Code{ID: "I-13/server-saga", Means: "an operation works on a server that is gone", Remedy: reportIt}
	noState      = check.Code{ID: "I-15/server-state", Means: "a server in a state that there is not", Remedy: reportIt}
	noReason     = check.Code{ID: "I-22/server-error", Means: "a server in ERROR that does not say why, or for which request", Remedy: reportIt}
	usedAgain    = check.Code{ID: "I-16/server-back", Means: "a server that was deleted is there again", Remedy: reportIt}
	moveStates   = check.Code{ID: "I-13/migration", Means: "a move is under way and no operation works on its server", Remedy: reportIt}
	moveOrphan   = check.Code{ID: "I-08/migration", Means: "a host keeps the guest of a move whose server is gone", Remedy: reportIt}
)

// Checks are the conservation queries of servers.
func (s *Servers) Checks() []check.Check {
	return []check.Check{
		check.Queries("compute/rows",
			check.Query{Code: usedAgain, Kind: "server", SQL: `SELECT s.id, 'it is ' || s.status || ', and was deleted before', '' FROM compute_servers s
				JOIN compute_ended_servers e ON e.id = s.id`},
			check.Query{Code: moveOrphan, Kind: "migration", SQL: `SELECT m.id, 'host ' || m.kept_host || ' keeps a guest of server ' || m.server || ', which is not there', m.server
				FROM compute_migrations m WHERE m.kept_host <> '' AND m.server NOT IN (SELECT id FROM compute_servers)`},
			check.Query{Code: moveOrphan, Kind: "migration", SQL: `SELECT m.id, 'it is unsettled, and its server ' || m.server || ' is not there', m.server
				FROM compute_migrations m WHERE m.unsettled AND m.server NOT IN (SELECT id FROM compute_servers)`}),
		{Name: "compute/states", Codes: []check.Code{noSaga, noObject, noState, noReason, moveStates}, Rows: true, Run: s.checkStates},
		{Name: "compute/guests", Codes: []check.Code{ghostGuest, missingGuest, twoGuests, twoWriters, wrongPower, stalledGuest, guestDisk, guestCard}, Run: s.checkGuests},
		{Name: "compute/processes", Codes: []check.Code{sharedUser, unfiltered, foreignFile, openNetwork, uncapped, coreDumps}, Run: checkProcesses},
	}
}

func (s *Servers) checkStates(ctx context.Context, l *check.Look) error {
	all, err := wholeServers(wholeRows.List(ctx, l, listing.Query{}))
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, one := range all {
		there[one.ID] = true
		at, sagas := check.Of("server", one.ID), l.SagasOf(one.ID)
		between := one.Task != compute.NoTask || one.VM == compute.Building
		if between && len(sagas) == 0 {
			l.Report(noSaga, at, "it is %s with task %q since %d, and no saga has it", one.VM, one.Task, one.UpdatedAt)
		}
		if compute.StatusOf(one.VM, one.Task) == compute.StatusUnknown || one.VM == compute.Deleted {
			l.Report(noState, at, "its state is %q with task %q", one.VM, one.Task)
		}
		if one.VM == compute.VMError && one.Task == compute.NoTask {
			switch f := one.Fault; {
			case f == nil || f.Message == "":
				l.Report(noReason, at, "it is in ERROR and there is no fault")
			case f.RequestID == "":
				l.Report(noReason, at, "it is in ERROR: %q; no request is named", f.Message)
			}
		}
	}
	for _, g := range l.Sagas {
		if strings.HasPrefix(g.Op, "compute.") && !strings.HasPrefix(g.Op, "compute.aggregate.") && !there[g.Object] {
			l.Report(noObject, check.Of("saga", g.ID), "%s works on server %s, which is not there", g.Op, g.Object)
		}
	}
	moves, err := migrationsOf(migrationRows.Find(ctx, l, eq("unsettled", true)))
	for _, m := range moves {
		if m.Status != compute.MigrationFinished && len(l.SagasOf(m.Server)) == 0 {
			l.Report(moveStates, check.Of("migration", m.ID, m.Server), "it is %s from %s to %s, and no saga has server %s", m.Status, m.SourceHost, m.DestHost, m.Server)
		}
	}
	return err
}

// placed is a guest that a host shall have.
type placed struct {
	server *Server // nil: kept for a move to be taken back
}

// seen is a guest that a host has.
type seen struct {
	host  string
	facts guest.Facts
}

func (s *Servers) checkGuests(ctx context.Context, l *check.Look) error {
	want, err := desiredGuests(ctx, l)
	if err != nil {
		return err
	}
	disks, err := definedDisks(ctx, l)
	if err != nil {
		return err
	}
	cards, err := definedCards(ctx, l)
	if err != nil {
		return err
	}
	running := map[string][]seen{}
	for _, h := range l.Hosts {
		have, ok := h.Has(check.Guests)
		if !ok {
			continue
		}
		for id, o := range have {
			var f guest.Facts
			if len(o.Facts) > 0 {
				if err := json.Unmarshal(o.Facts, &f); err != nil {
					return err
				}
			}
			p, wanted := want[h.Name][id]
			if !wanted {
				l.Report(ghostGuest, check.Of("server", id), "host %s has its guest, %s, process %d; no row gives it to that host", h.Name, f.Power, f.PID)
			}
			if f.Power == guest.Running || f.Power == guest.Paused {
				running[id] = append(running[id], seen{h.Name, f})
				if wanted && p.server != nil && p.server.Task == compute.NoTask {
					compareDevices(l, h.Name, p.server, f, disks[id], cards[id])
				}
			}
			if wanted && p.server != nil {
				comparePower(l, h.Name, p.server, o, f)
			}
		}
		for id, p := range want[h.Name] {
			if _, there := have[id]; !there && (p.server == nil || p.server.VM != compute.VMError) {
				l.Report(missingGuest, check.Of("server", id), "its row gives it to host %s, which has no guest of it", h.Name)
			}
		}
	}
	reportDoubles(l, running, disks)
	return nil
}

// comparePower compares a server that nothing is done to with its guest.
func comparePower(l *check.Look, host string, one *Server, o check.Object, f guest.Facts) {
	if one.Task != compute.NoTask || one.VM == compute.VMError || one.VM == compute.Building {
		return
	}
	at := check.Of("server", one.ID)
	switch {
	case f.Stalled:
		l.Report(stalledGuest, at, "its guest on %s stands still: what it writes cannot be written", host)
	case o.Phase != check.Ready && one.Power == compute.PowerRunning:
		l.Report(wrongPower, at, "it is %s, power state %d; its guest on %s is %s: %s", one.VM, one.Power, host, o.Phase, o.Error)
	case one.Power == compute.PowerRunning && f.Power != guest.Running:
		l.Report(wrongPower, at, "it is %s and running; its guest on %s is %s", one.VM, host, f.Power)
	case one.Power == compute.PowerShutdown && f.Power == guest.Running:
		l.Report(wrongPower, at, "it is %s and shut down; its guest on %s is running", one.VM, host)
	}
}

// compareDevices compares what a running guest has plugged in with rows.
func compareDevices(l *check.Look, host string, one *Server, f guest.Facts, disks map[string]*Disk, cards map[string]bool) {
	at := check.Of("server", one.ID)
	plugged := map[string]bool{}
	for _, d := range f.Disks {
		plugged[d.ID] = d.Attached
		if disks[d.ID] == nil && d.Attached {
			l.Report(guestDisk, at, "its guest on %s has disk %s; no row says so", host, d.ID)
		}
	}
	for id := range disks {
		if !plugged[id] {
			l.Report(guestDisk, at, "disk %s is in its rows and not in its guest on %s", id, host)
		}
	}
	has := map[string]bool{}
	for _, n := range f.NICs {
		has[n.PortID] = n.Attached
		if !cards[n.PortID] && n.Attached {
			l.Report(guestCard, at, "its guest on %s has the card of port %s; no row says so", host, n.PortID)
		}
	}
	for port := range cards {
		if !has[port] {
			l.Report(guestCard, at, "the card of port %s is in its rows and not in its guest on %s", port, host)
		}
	}
}

// reportDoubles looks for servers and volumes that two guests write to.
func reportDoubles(l *check.Look, running map[string][]seen, disks map[string]map[string]*Disk) {
	writers := map[string][]string{} // volume: servers
	for id, list := range running {
		if len(list) > 1 {
			l.Report(twoGuests, check.Of("server", id), "it runs on %s, process %d, and on %s, process %d", list[0].host, list[0].facts.PID, list[1].host, list[1].facts.PID)
		}
		for _, d := range list[0].facts.Disks {
			if row := disks[id][d.ID]; d.Attached && row != nil && row.VolumeID != "" && !row.Shared {
				writers[row.VolumeID] = append(writers[row.VolumeID], id)
			}
		}
	}
	for volume, list := range writers {
		if len(list) > 1 {
			l.Report(twoWriters, check.Of("volume", volume, list...), "servers %s have it open", strings.Join(list, " and "))
		}
	}
}

// desiredGuests is what hosts shall have, by host and id.
func desiredGuests(ctx context.Context, q db.Querier) (map[string]map[string]placed, error) {
	out := map[string]map[string]placed{}
	put := func(host, id string, p placed) {
		if out[host] == nil {
			out[host] = map[string]placed{}
		}
		out[host][id] = p
	}
	all, err := wholeServers(wholeRows.Find(ctx, q, eq("defined", true)))
	if err != nil {
		return nil, err
	}
	for _, one := range all {
		put(one.Host, one.ID, placed{one})
	}
	kept, err := migrationsOf(migrationRows.List(ctx, q, listing.Query{}.And("kept_host", listing.NotEq, "")))
	for _, m := range kept {
		if m.Kept != nil {
			put(m.KeptHost, m.Kept.ID, placed{})
		}
	}
	return out, err
}

// definedDisks is the disks that guests shall have, by server and name in the guest.
func definedDisks(ctx context.Context, q db.Querier) (map[string]map[string]*Disk, error) {
	rows, err := diskRows.Find(ctx, q, eq("defined", true))
	out := map[string]map[string]*Disk{}
	for _, r := range rows {
		if out[r.Server] == nil {
			out[r.Server] = map[string]*Disk{}
		}
		out[r.Server][r.Data.V.GuestID] = &r.Data.V
	}
	return out, err
}

// definedCards is the cards that guests shall have, by server and port.
func definedCards(ctx context.Context, q db.Querier) (map[string]map[string]bool, error) {
	rows, err := nicRows.Find(ctx, q, eq("defined", true))
	out := map[string]map[string]bool{}
	for _, r := range rows {
		if out[r.Server] == nil {
			out[r.Server] = map[string]bool{}
		}
		out[r.Server][r.PortID] = true
	}
	return out, err
}

// Holding is what a server or a move shall have of a host, by Placement's count.
type Holding struct {
	Consumer  string
	Server    string
	Migration bool
	Host      string
	VCPUs     int64
	MemoryMiB int64
	DiskGiB   int64 // of the flavor; what is on volumes is not the host's
}

// Holdings lists what servers and unsettled moves hold of hosts, for checks.
func Holdings(ctx context.Context, q db.Querier) ([]Holding, error) {
	all, err := wholeServers(wholeRows.List(ctx, q, listing.Query{}))
	if err != nil {
		return nil, err
	}
	var out []Holding
	for _, one := range all {
		f := one.Flavor
		out = append(out, Holding{one.ID, one.ID, false, one.Host, int64(f.VCPUs), int64(f.MemoryMiB), int64(f.RootGiB + f.EphemGiB)})
	}
	moves, err := migrationsOf(migrationRows.Find(ctx, q, eq("unsettled", true)))
	for _, m := range moves {
		f := m.OldFlavor
		out = append(out, Holding{m.ID, m.Server, true, m.SourceHost, int64(f.VCPUs), int64(f.MemoryMiB), int64(f.RootGiB + f.EphemGiB)})
	}
	return out, err
}

// Device is a volume or a port that a server has by its own rows.
type Device struct {
	ID, Server string // of the attachment or port
	Object     string // volume or port
	State      string
	Defined    bool
}

// VolumesOf lists the volumes that servers have, for checks.
func VolumesOf(ctx context.Context, q db.Querier) ([]Device, error) {
	rows, err := diskRows.List(ctx, q, listing.Query{}.And("volume_id", listing.NotEq, ""))
	out := make([]Device, len(rows))
	for i, r := range rows {
		out[i] = Device{r.ID, r.Server, r.VolumeID, r.State, r.Defined}
	}
	return out, err
}

// PortsOf lists the ports that servers have, for checks.
func PortsOf(ctx context.Context, q db.Querier) ([]Device, error) {
	rows, err := nicRows.List(ctx, q, listing.Query{})
	out := make([]Device, len(rows))
	for i, r := range rows {
		out[i] = Device{r.PortID, r.Server, r.PortID, "", r.Defined}
	}
	return out, err
}
