package servers

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/scheduler"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/placement"
	"github.com/mekcloud/mek/internal/task"
)

// createParams is what only the scheduler needs; the rest is in the rows.
type createParams struct {
	Zone string   `json:"zone,omitempty"`
	Host string   `json:"host,omitempty"`
	Same []string `json:"same,omitempty"` // servers on whose host it must be
	Not  []string `json:"not,omitempty"`  // servers on whose hosts it must not be
	Lost []string `json:"lost,omitempty"` // hosts that went down while it was made there
}

type createState struct {
	Ranked []scheduler.Ranked           `json:"ranked,omitempty"`
	Local  bool                         `json:"local,omitempty"` // no disk is a volume
	Host   string                       `json:"host,omitempty"`
	Zone   string                       `json:"zone,omitempty"`
	Cards  map[string]network.Interface `json:"cards,omitempty"`
	Bound  []network.Binding            `json:"bound,omitempty"`
	Spawn  place                        `json:"spawn"`
	Gone   place                        `json:"gone"`
	Ran    bool                         `json:"ran,omitempty"`    // the host had leave to run it when that was withdrawn
	Lost   string                       `json:"lost,omitempty"`   // a host that is down and does not run it
	Active bool                         `json:"active,omitempty"` // unshelved: nothing is taken back any more
}

type createRun = task.Run[createParams, createState]

func (s *Servers) createSaga() task.Saga[createParams, createState] {
	return task.Saga[createParams, createState]{Name: "compute.server.create", Steps: []task.Step[createParams, createState]{
		{Name: "begin", Undo: s.noteLost, UndoCommit: s.createFailed}, // unwound last: ERROR and fault
		{Name: "claim-host", Do: s.rankHosts, Commit: s.claimHost, UndoCommit: s.releaseHost},
		{Name: "volumes", Do: s.ensureVolumes, Undo: s.removeVolumes, Skip: func(r *createRun) bool { return r.State.Local }},
		{Name: "ports", Do: s.ensurePorts, Commit: s.keepPorts, Undo: s.releasePorts},
		{Name: "plug", Do: s.awaitPorts, Skip: func(*createRun) bool { return true }}, // sagas of earlier releases may stand here
		{Name: "vacated", Undo: s.awaitGone},
		{Name: "define", Commit: s.define, UndoCommit: s.unmake}, // the host starts the guest while it connects its ports
		{Name: "spawn", Do: s.awaitSpawned},
		{Name: "active", Do: s.completeVolumes, Commit: s.markActive},
	}, Deadline: time.Hour}
}

func (s *Servers) createFailed(ctx context.Context, tx *db.Tx, r *createRun) error {
	if again, err := s.createElsewhere(ctx, tx, r); again || err != nil {
		return err
	}
	if err := endAction(ctx, tx, r.Object, r.RequestID, r.State.Host, r.Err, stamp(s.Clock)); err != nil {
		return err
	}
	return s.touch(ctx, tx, r.Object, func(one *Server) error {
		if task.Cancelled(r.Err) {
			return nil // the delete that waits has set what there is to see
		}
		one.VM, one.Task = compute.VMError, compute.NoTask
		s.failed(one, whyFailed(r), r.RequestID)
		return nil
	})
}

// errNoHost is in upstream's words: clients look for them.
func errNoHost(detail string) error {
	return fault.Invalidf("No valid host was found. %s", detail)
}

func (s *Servers) rankHosts(ctx context.Context, r *createRun) error {
	one, err := s.store.Get(ctx, r.Object)
	if err != nil {
		return err
	}
	want, err := s.wants(ctx, one, r.Params)
	if err != nil {
		return err
	}
	disks, err := disksOf(ctx, s.DB, r.Object)
	if err != nil {
		return err
	}
	local := 0
	r.State.Local = true
	for _, d := range disks[r.Object] {
		r.State.Local = r.State.Local && d.VolumeID == ""
		if d.Kind == guest.DiskImage {
			local = max(local, d.SizeGiB)
		}
	}
	r.State.Ranked, err = s.rank(ctx, one.Flavor, local, want)
	return err
}

// wants turns hints about other servers into host names.
func (s *Servers) wants(ctx context.Context, one *Server, p createParams) (scheduler.Want, error) {
	w := scheduler.Want{Zone: p.Zone, Host: p.Host}
	hostsOf := func(ids []string) ([]string, error) {
		out := []string{}
		for _, id := range ids {
			other, err := s.store.Get(ctx, id)
			if isGone(err) || (err == nil && (other.Host == "" || other.ID == one.ID)) {
				continue
			}
			if err != nil {
				return nil, err
			}
			out = append(out, other.Host)
		}
		return out, nil
	}
	var err error
	if len(p.Same) > 0 {
		if w.Same, err = hostsOf(p.Same); err != nil {
			return w, err
		}
	}
	if w.Different, err = hostsOf(p.Not); err != nil {
		return w, err
	}
	w.Different = append(w.Different, p.Lost...)
	return w, s.groupWants(ctx, one, &w)
}

func (s *Servers) claimHost(ctx context.Context, tx *db.Tx, r *createRun) error {
	one, err := lockServer(ctx, tx, r.Object)
	if err != nil {
		return err
	}
	ranked, err := s.groupAllows(ctx, tx, one, r.State.Ranked)
	if err != nil {
		return err
	}
	for _, host := range ranked {
		err := s.Placement.Claim(ctx, tx, placement.Claim{Allocations: host.Allocations,
			Consumer: placement.Consumer{UUID: one.ID, ProjectID: one.ProjectID, UserID: one.UserID, Type: "INSTANCE"}})
		if fault.Is(err, fault.Conflict) {
			continue // somebody was faster
		}
		if err != nil {
			return err
		}
		r.State.Host, r.State.Zone, r.State.Ranked = host.Name, host.Zone, nil
		one.Host, one.HypervisorName, one.Zone = host.Name, host.Name, host.Zone
		one.Task, one.UpdatedAt = compute.BlockDeviceMapping, stamp(s.Clock)
		if r.State.Local {
			one.Task = compute.Networking // it goes on with its ports
		}
		return put(ctx, tx, one)
	}
	if r.Attempt > 5 {
		return errNoHost("The hosts that had room were taken meanwhile.")
	}
	return fault.Unavailablef("The hosts that had room were taken meanwhile.")
}

func (s *Servers) releaseHost(ctx context.Context, tx *db.Tx, r *createRun) error {
	if err := s.Placement.Release(ctx, tx, r.Object); err != nil {
		return err
	}
	return s.touch(ctx, tx, r.Object, func(one *Server) error {
		one.Host, one.HypervisorName = "", ""
		return nil
	})
}

func (s *Servers) ensureVolumes(ctx context.Context, r *createRun) error {
	one, err := s.store.Get(ctx, r.Object)
	if err != nil {
		return err
	}
	disks, err := disksOf(ctx, s.DB, r.Object)
	if err != nil {
		return err
	}
	for _, d := range disks[r.Object] {
		if d.VolumeID == "" {
			continue
		}
		if err := s.makeVolume(ctx, one, d); err != nil {
			return err
		}
		if err := s.reserve(ctx, one, d); err != nil {
			return err
		}
		if _, err := s.Volumes.Connect(ctx, d.ID, r.State.Host); err != nil {
			return err
		}
	}
	return nil
}

// makeVolume makes a volume that comes with the server, on the server's host.
func (s *Servers) makeVolume(ctx context.Context, one *Server, d *Disk) error {
	m := d.Make
	if m == nil {
		return nil
	}
	_, err := s.Volumes.Create(ctx, blockstorage.NewVolume{ID: d.VolumeID, Viewer: viewerOf(one), Name: m.Name, Type: m.Type, SizeGiB: int64(m.SizeGiB),
		ImageID: m.ImageID, Snapshot: m.SnapshotID, Host: one.Host})
	if err != nil {
		return err
	}
	return s.whileUp(ctx, one.Host, func(ctx context.Context) error {
		_, err := s.Volumes.Ready(ctx, d.VolumeID)
		return err
	})
}

func (s *Servers) reserve(ctx context.Context, one *Server, d *Disk) error {
	_, err := s.Volumes.Reserve(ctx, blockstorage.Reservation{ID: d.ID, VolumeID: d.VolumeID, ServerID: one.ID, Viewer: viewerOf(one)})
	return err
}

func viewerOf(one *Server) blockstorage.Viewer {
	return blockstorage.Viewer{ProjectID: one.ProjectID, UserID: one.UserID}
}

func (s *Servers) removeVolumes(ctx context.Context, r *createRun) error {
	disks, err := disksOf(ctx, s.DB, r.Object)
	if err != nil {
		return err
	}
	for _, d := range disks[r.Object] {
		if d.VolumeID == "" {
			continue
		}
		if err := s.Volumes.Detach(ctx, d.ID); err != nil {
			return err
		}
		if d.Make != nil {
			if err := s.Volumes.Discard(ctx, d.VolumeID); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Servers) ensurePorts(ctx context.Context, r *createRun) error {
	one, err := s.store.Get(ctx, r.Object)
	if err != nil {
		return err
	}
	nics, err := nicsOf(ctx, s.DB, r.Object)
	if err != nil {
		return err
	}
	r.State.Cards, r.State.Bound = map[string]network.Interface{}, nil
	for _, n := range nics[r.Object] {
		card, bound, err := s.ensurePort(ctx, one, n.Plan)
		if err != nil {
			return err
		}
		r.State.Cards[n.PortID], r.State.Bound = card, append(r.State.Bound, bound)
	}
	return nil
}

// ensurePort makes a port for a server and binds it to the server's host.
func (s *Servers) ensurePort(ctx context.Context, one *Server, plan network.PlannedPort) (network.Interface, network.Binding, error) {
	card, err := s.Networks.Ensure(ctx, plan, network.Attachment{ServerID: one.ID, ProjectID: one.ProjectID, Zone: one.Zone, Hostname: one.Hostname, Host: one.Host})
	if err != nil {
		return card, network.Binding{}, err
	}
	bound, err := s.Networks.Bind(ctx, plan.PortID, one.Host)
	return card, bound, err
}

func (s *Servers) keepPorts(ctx context.Context, tx *db.Tx, r *createRun) error {
	nics, err := nicsOf(ctx, tx, r.Object)
	if err != nil {
		return err
	}
	for _, n := range nics[r.Object] {
		n.Facts = r.State.Cards[n.PortID]
		if err := putNIC(ctx, tx, n); err != nil {
			return err
		}
	}
	r.State.Cards = nil
	return nil // what the server does now says the next step, which is recorded with this one
}

func (s *Servers) releasePorts(ctx context.Context, r *createRun) error {
	nics, err := nicsOf(ctx, s.DB, r.Object)
	if err != nil {
		return err
	}
	for _, n := range nics[r.Object] {
		if err := s.Networks.Release(ctx, n.PortID); err != nil {
			return err
		}
	}
	return nil
}

func (s *Servers) awaitPorts(ctx context.Context, r *createRun) error {
	return s.whileUp(ctx, r.State.Host, func(ctx context.Context) error { return s.awaitBound(ctx, r.State.Bound) })
}

// awaitBound waits until hosts have made the ports that were bound to them.
func (s *Servers) awaitBound(ctx context.Context, bound []network.Binding) error {
	for _, b := range bound {
		report, err := s.Agents.Await(ctx, b.Host, hostlink.Ports, b.Revision, b.PortID)
		if err != nil {
			return err
		}
		if report.Phase == hostlink.Failed {
			return fault.Invalidf("%s", report.Error)
		}
	}
	return nil
}

func (s *Servers) define(ctx context.Context, tx *db.Tx, r *createRun) error {
	err := s.defineDevices(ctx, tx, r.Object, true)
	if err != nil {
		return err
	}
	err = s.touch(ctx, tx, r.Object, func(one *Server) error {
		one.Defined, one.Desired, one.PowerSerial, one.Task, one.Leave = true, guest.Running, 1, compute.Spawning, leaveAwaited
		return nil
	})
	if err != nil {
		return err
	}
	r.State.Spawn, err = s.raise(ctx, tx, r.State.Host, r.Object)
	return err
}

func (s *Servers) defineDevices(ctx context.Context, tx *db.Tx, server string, defined bool) error {
	disks, nics, err := s.devices(ctx, tx, server)
	if err != nil {
		return err
	}
	for _, d := range disks {
		d.Defined = defined
		if err := putDisk(ctx, tx, d); err != nil {
			return err
		}
	}
	for _, n := range nics {
		n.Defined = defined
		if err := putNIC(ctx, tx, n); err != nil {
			return err
		}
	}
	return nil
}

// unmake takes a server that is not to be made off its host, and its devices
// with it: what they stand for is about to go.
func (s *Servers) unmake(ctx context.Context, tx *db.Tx, r *createRun) error {
	if err := s.defineDevices(ctx, tx, r.Object, false); err != nil {
		return err
	}
	return s.undefine(ctx, tx, r)
}

func (s *Servers) undefine(ctx context.Context, tx *db.Tx, r *createRun) error {
	err := s.touch(ctx, tx, r.Object, func(one *Server) error {
		r.State.Ran = one.Leave == leaveGiven
		one.Defined = false
		return nil
	})
	if err != nil {
		return err
	}
	r.State.Gone, err = s.raise(ctx, tx, r.State.Host, r.Object)
	return err
}

func (s *Servers) awaitGone(ctx context.Context, r *createRun) error {
	return s.vacate(ctx, r.State.Gone, r.Object)
}

// awaitSpawned waits for the ports first: a guest waits for one that fails.
func (s *Servers) awaitSpawned(ctx context.Context, r *createRun) error {
	if err := s.awaitPorts(ctx, r); err != nil {
		return err
	}
	return s.awaitGuest(ctx, r)
}

func (s *Servers) awaitGuest(ctx context.Context, r *createRun) error {
	return s.whileUp(ctx, r.State.Host, func(ctx context.Context) error {
		facts, err := s.settle(ctx, r.State.Spawn, r.Object)
		if err == nil && facts.Power == guest.Crashed {
			err = fault.Invalidf("The guest ended as soon as it was started.")
		}
		return err
	})
}

func (s *Servers) completeVolumes(ctx context.Context, r *createRun) error {
	disks, err := disksOf(ctx, s.DB, r.Object)
	if err != nil {
		return err
	}
	for _, d := range disks[r.Object] {
		if d.VolumeID == "" {
			continue
		}
		if err := s.Volumes.Complete(ctx, d.ID, d.DeviceName); err != nil {
			return err
		}
	}
	return nil
}

func (s *Servers) markActive(ctx context.Context, tx *db.Tx, r *createRun) error {
	disks, err := disksOf(ctx, tx, r.Object)
	if err != nil {
		return err
	}
	for _, d := range disks[r.Object] {
		d.State = diskAttached
		if err := putDisk(ctx, tx, d); err != nil {
			return err
		}
	}
	now := stamp(s.Clock)
	if err := endAction(ctx, tx, r.Object, r.RequestID, r.State.Host, nil, now); err != nil {
		return err
	}
	return s.touch(ctx, tx, r.Object, func(one *Server) error {
		one.VM, one.Task, one.Power, one.LaunchedAt, one.Fault = compute.Active, compute.NoTask, compute.PowerRunning, now, nil
		return nil
	})
}
