package servers

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/task"
)

// Leave is whether the host of a server may run it. A server that is being made
// can be made elsewhere for as long as its host has not asked: from then on
// nobody can know whether a host that is silent runs it.
type Leave int

// The states of a leave.
const (
	leaveUnasked Leave = iota // made by a release that did not ask
	leaveAwaited
	leaveGiven
)

// mayStart answers a host that is about to run a guest for the first time. No
// is an error; a repeated question has the same answer for as long as the
// server is on that host, or moves from or to it.
func (s *Servers) mayStart(ctx context.Context, host, serverID string) error {
	return s.DB.Write(ctx, func(tx *db.Tx) error {
		one, err := lockServer(ctx, tx, serverID)
		if err != nil {
			return err
		}
		if here := one.Host == host && one.Defined; !here {
			m, err := unsettledOf(ctx, tx, serverID)
			if err == nil && (m == nil || host != m.DestHost && host != m.SourceHost && host != m.KeptHost) {
				err = notFound(serverID)
			}
			return err
		}
		if one.Leave != leaveAwaited {
			return nil
		}
		one.Leave = leaveGiven
		return put(ctx, tx, one)
	})
}

// codeLost marks the error of a build whose host went down.
const codeLost = "HostLost"

// glanceEvery is how often one who waits for a host looks whether it is up.
const glanceEvery = 10 * time.Second

// whileUp runs something that waits for a host, and ends it when the host has
// gone down meanwhile.
func (s *Servers) whileUp(ctx context.Context, name string, wait func(context.Context) error) error {
	for {
		short, cancel := context.WithTimeout(ctx, s.glance)
		err := wait(short)
		early := short.Err() == nil
		cancel()
		if !fault.Is(err, fault.Unavailable) {
			return err
		}
		if lost := s.lost(ctx, name); lost != nil {
			return lost.Because(errors.New(err.Error())) // its text only: a deadline in it would have the step tried again
		}
		if early || ctx.Err() != nil {
			return err
		}
	}
}

// lost is an error when a host is down; nil when it is not, or nobody can tell.
func (s *Servers) lost(ctx context.Context, name string) *fault.Fault {
	if s.Agents.Alive(name) {
		return nil
	}
	if h, _, err := s.Hosts.SchedulerHost(ctx, name); err != nil || h.Up {
		return nil
	}
	return fault.Invalidf("The host of the server went down while the server was being built.").With(codeLost)
}

// buildAttempts is on how many hosts a server is tried. Nova's max_attempts has
// the same default.
const buildAttempts = 3

// createElsewhere begins the creation anew, on another host, when the one that
// is being taken back ended with the loss of a host that cannot run the server.
func (s *Servers) createElsewhere(ctx context.Context, tx *db.Tx, r *createRun) (bool, error) {
	p := r.Params
	if r.Err == nil || fault.As(r.Err).Code != codeLost || p.Host != "" || r.State.Lost == "" || len(p.Lost)+1 >= buildAttempts {
		return false, nil
	}
	p.Lost = append(slices.Clone(p.Lost), r.State.Lost)
	one, err := lockServer(ctx, tx, r.Object)
	if isGone(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	next := task.Work{Object: r.Object, ProjectID: r.ProjectID, UserID: r.UserID, RequestID: r.RequestID, Follows: r.ID}
	if _, err := s.sagas.create.Enqueue(ctx, tx, next, p); fault.Is(err, fault.Conflict) {
		return false, nil // somebody deletes it
	} else if err != nil {
		return false, err
	}
	if err := renewVolumes(ctx, tx, one.ID); err != nil {
		return false, err
	}
	s.Log.Info("server is made on another host", "server", one.ID, "lost", r.State.Lost)
	one.Task, one.UpdatedAt = compute.Scheduling, stamp(s.Clock)
	return true, put(ctx, tx, one)
}

// renewVolumes plans new volumes in place of those that were made for the
// server: the old ones may have to wait for their host to be removed.
func renewVolumes(ctx context.Context, tx *db.Tx, server string) error {
	disks, err := disksOf(ctx, tx, server)
	if err != nil {
		return err
	}
	for _, d := range disks[server] {
		if d.Make == nil || d.VolumeID == "" {
			continue
		}
		was := d.VolumeID
		d.VolumeID = id.New()
		if d.GuestID == was {
			d.GuestID = d.VolumeID
		}
		if err := putDisk(ctx, tx, d); err != nil {
			return err
		}
	}
	return nil
}

// whyFailed is the error of a creation; one that found no host after it had
// lost some says so.
func whyFailed(r *createRun) error {
	if len(r.Params.Lost) == 0 || r.Err == nil || task.Cancelled(r.Err) {
		return r.Err
	}
	return fault.Invalidf("The host of the server went down while the server was being built, and making it on another failed: %s", publicText(r.Err)).Because(r.Err)
}

// noteLost notes which host cannot run the server that it was to make: one that
// never had leave to, or that somebody vouches for.
func (s *Servers) noteLost(ctx context.Context, r *createRun) error {
	if r.Err == nil || fault.As(r.Err).Code != codeLost || r.State.Host == "" {
		return nil
	}
	h, _, err := s.Hosts.SchedulerHost(ctx, r.State.Host)
	if err != nil {
		return err
	}
	if !r.State.Ran || h.Fenced {
		r.State.Lost = r.State.Host
	}
	return nil
}
