package servers

import (
	"context"
	"errors"
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
	Own  *int     `json:"own,omitempty"`  // GiB of its root disk, where all disks are its own; nil: the rows tell
	// Flavor is the server's, if it has no group: nothing else of its row matters
	// for where it goes. Nil: the row tells.
	Flavor *compute.Flavor `json:"flavor,omitempty"`
}

type createState struct {
	Ranked []scheduler.Ranked           `json:"ranked,omitempty"`
	Local  bool                         `json:"local,omitempty"` // no disk is a volume
	Plain  bool                         `json:"plain,omitempty"` // nor has any yet to become part of the server
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
		{Name: "ports", Commit: s.attachPorts, Undo: s.releasePorts},
		{Name: "plug", Do: s.awaitPorts, Skip: func(*createRun) bool { return true }}, // sagas of earlier releases may stand here
		{Name: "vacated", Undo: s.awaitGone},
		{Name: "define", Commit: s.define, UndoCommit: s.unmake}, // the host starts the guest while it connects its ports
		{Name: "spawn", Do: s.awaitSpawned},
		{Name: "active", Do: s.completeVolumes, Commit: s.markActive},
	}, Deadline: time.Hour, Flush: s.flushCreate}
}

// drafts are the rows of a server that steps which are recorded together change:
// read by the first, written after the last.
type drafts struct {
	one  *Server
	nics []*NIC // nil: not read
}

// draft gives the server's row, which is locked and will be written.
func (s *Servers) draft(ctx context.Context, tx *db.Tx, r *createRun) (*drafts, error) {
	if d, ok := r.Held.(*drafts); ok {
		return d, nil
	}
	one, err := lockServer(ctx, tx, r.Object)
	if err != nil {
		return nil, err
	}
	d := &drafts{one: one}
	r.Held = d
	return d, nil
}

// cards gives the server's cards, which will be written.
func (d *drafts) cards(ctx context.Context, tx *db.Tx) ([]*NIC, error) {
	if d.nics != nil {
		return d.nics, nil
	}
	nics, err := nicsOf(ctx, tx, d.one.ID)
	d.nics = append([]*NIC{}, nics[d.one.ID]...)
	return d.nics, err
}

func (s *Servers) flushCreate(ctx context.Context, tx *db.Tx, r *createRun) error {
	d, ok := r.Held.(*drafts)
	if !ok {
		return nil
	}
	for _, n := range d.nics {
		if err := keepNIC(ctx, tx, n); err != nil {
			return err
		}
	}
	d.one.UpdatedAt = stamp(s.Clock)
	return put(ctx, tx, d.one)
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
	one, err := s.placed(ctx, r)
	if err != nil {
		return err
	}
	want, err := s.wants(ctx, one, r.Params)
	if err != nil {
		return err
	}
	local, err := s.localDisks(ctx, r)
	if err != nil {
		return err
	}
	r.State.Ranked, err = s.rank(ctx, one.Flavor, local, want)
	return err
}

// placed is the server, as far as it matters for where it goes.
func (s *Servers) placed(ctx context.Context, r *createRun) (*Server, error) {
	if f := r.Params.Flavor; f != nil {
		return &Server{Server: compute.Server{ID: r.Object, ProjectID: r.ProjectID, Flavor: *f}}, nil
	}
	return s.store.Get(ctx, r.Object)
}

// localDisks tells how many GiB the server's own root disk has, and notes
// whether it has volumes.
func (s *Servers) localDisks(ctx context.Context, r *createRun) (local int, err error) {
	r.State.Local, r.State.Plain = true, r.Params.Own != nil
	if r.State.Plain {
		return *r.Params.Own, nil
	}
	disks, err := disksOf(ctx, s.DB, r.Object)
	for _, d := range disks[r.Object] {
		r.State.Local = r.State.Local && d.VolumeID == ""
		local = max(local, d.ownImage())
	}
	return local, err
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
	d, err := s.draft(ctx, tx, r)
	if err != nil {
		return err
	}
	one := d.one
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
		if one.Task = compute.BlockDeviceMapping; r.State.Local {
			one.Task = compute.Networking // it goes on with its ports
		}
		return nil
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

// attachPorts makes the server's ports and binds them to its host. What the server
// does now says the next step, which is recorded with this one.
func (s *Servers) attachPorts(ctx context.Context, tx *db.Tx, r *createRun) error {
	d, err := s.draft(ctx, tx, r)
	if err != nil {
		return err
	}
	nics, err := d.cards(ctx, tx)
	if err != nil {
		return err
	}
	r.State.Bound, r.State.Cards = nil, nil // Cards: of sagas that earlier releases began
	for _, n := range nics {
		card, bound, err := s.Networks.Attach(ctx, tx, n.Plan, attachment(d.one))
		if err != nil {
			return err
		}
		n.Facts, r.State.Bound = card, append(r.State.Bound, bound)
	}
	return nil
}

// attachment says that a port is a server's, on its host.
func attachment(one *Server) network.Attachment {
	return network.Attachment{ServerID: one.ID, ProjectID: one.ProjectID, Zone: one.Zone, Hostname: one.Hostname, Host: one.Host}
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
	d, err := s.draft(ctx, tx, r)
	if err != nil {
		return err
	}
	nics, err := d.cards(ctx, tx)
	if err != nil {
		return err
	}
	for _, n := range nics {
		n.Defined = true
	}
	if err := s.changeDisks(ctx, tx, r, func(d *Disk) { d.Defined = true }); err != nil {
		return err
	}
	one := d.one
	one.Defined, one.Desired, one.PowerSerial, one.Task, one.Leave = true, guest.Running, 1, compute.Spawning, leaveAwaited
	r.State.Spawn, err = s.raise(ctx, tx, r.State.Host, r.Object)
	return err
}

// changeDisks changes each disk of a server. Those of a plain one have been part of
// it from the beginning, and stay so.
func (s *Servers) changeDisks(ctx context.Context, tx *db.Tx, r *createRun, change func(*Disk)) error {
	if r.State.Plain {
		return nil
	}
	disks, err := disksOf(ctx, tx, r.Object)
	for _, d := range disks[r.Object] {
		change(d)
		err = errors.Join(err, keepDisk(ctx, tx, d))
	}
	return err
}

// unmake takes a server that is not to be made off its host, and its devices
// with it: what they stand for is about to go.
func (s *Servers) unmake(ctx context.Context, tx *db.Tx, r *createRun) error {
	if err := s.changeDisks(ctx, tx, r, func(d *Disk) { d.Defined = false }); err != nil {
		return err
	}
	nics, err := nicsOf(ctx, tx, r.Object)
	if err != nil {
		return err
	}
	for _, n := range nics[r.Object] {
		n.Defined = false
		if err := keepNIC(ctx, tx, n); err != nil {
			return err
		}
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
	if r.State.Local {
		return nil
	}
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
	if err := s.changeDisks(ctx, tx, r, func(d *Disk) { d.State = diskAttached }); err != nil {
		return err
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
