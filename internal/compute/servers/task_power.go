package servers

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/task"
)

// powerVerb is one way to change what a guest does: a row of a table.
type powerVerb struct {
	name    string // of the action in the action log
	desired guest.Power
	serial  bool // raises PowerSerial
	during  compute.TaskState
	vm      compute.VMState
	power   compute.PowerState
	word    string // audit verb
}

// powerVerbs by the API's action names; a hard reboot is "reboot".
var powerVerbs = map[string]powerVerb{
	"os-start": {"start", guest.Running, true, compute.PoweringOn, compute.Active, compute.PowerRunning, "start"},
	"os-stop":  {"stop", guest.Stopped, true, compute.PoweringOff, compute.VMStopped, compute.PowerShutdown, "stop"},
	"reboot":   {"reboot", guest.Running, true, compute.RebootingHard, compute.Active, compute.PowerRunning, "reboot"},
	"pause":    {"pause", guest.Paused, false, compute.Pausing, compute.VMPaused, compute.PowerPaused, "pause"},
	"unpause":  {"unpause", guest.Running, false, compute.Unpausing, compute.Active, compute.PowerRunning, "unpause"},
	"suspend":  {"suspend", guest.Suspended, false, compute.Suspending, compute.VMSuspended, compute.PowerShutdown, "suspend"},
	"resume":   {"resume", guest.Running, false, compute.Resuming, compute.Active, compute.PowerRunning, "resume"},
}

type powerParams struct {
	Verb string `json:"verb"` // a key of powerVerbs
}

type powerState struct {
	Before guest.Power `json:"before"`
	Set    place       `json:"set"`
	Back   place       `json:"back"` // what it was before, once it is undone
}

type powerRun = task.Run[powerParams, powerState]

func (s *Servers) powerSaga() task.Saga[powerParams, powerState] {
	return task.Saga[powerParams, powerState]{Name: "compute.server.power", Steps: []task.Step[powerParams, powerState]{
		{Name: "begin", UndoCommit: func(ctx context.Context, tx *db.Tx, r *powerRun) error {
			return s.actionFailed(ctx, tx, r.Object, r.RequestID, r.Err)
		}},
		{Name: "restored", Undo: func(ctx context.Context, r *powerRun) error { return s.restored(ctx, r.State.Back, r.Object) }},
		{Name: "define", Commit: s.setPower, UndoCommit: s.resetPower},
		{Name: "settle", Do: s.awaitPower},
		{Name: "end", Commit: s.powerChanged},
	}, Deadline: 10 * time.Minute}
}

func (s *Servers) setPower(ctx context.Context, tx *db.Tx, r *powerRun) error {
	one, err := lockServer(ctx, tx, r.Object)
	if err != nil {
		return err
	}
	verb := powerVerbs[r.Params.Verb]
	r.State.Before, one.Desired = one.Desired, verb.desired
	if verb.serial {
		one.PowerSerial++
	}
	if err := put(ctx, tx, one); err != nil {
		return err
	}
	r.State.Set, err = s.raise(ctx, tx, one.Host, one.ID)
	return err
}

func (s *Servers) resetPower(ctx context.Context, tx *db.Tx, r *powerRun) error {
	if r.State.Before == "" {
		return nil // never begun
	}
	one, err := lockServer(ctx, tx, r.Object)
	if err != nil {
		return err
	}
	one.Desired, r.State.Before = r.State.Before, ""
	if err := put(ctx, tx, one); err != nil {
		return err
	}
	r.State.Back, err = s.raise(ctx, tx, one.Host, one.ID)
	return err
}

func (s *Servers) awaitPower(ctx context.Context, r *powerRun) error {
	facts, err := s.settle(ctx, r.State.Set, r.Object)
	if err == nil && facts.Power == guest.Crashed {
		err = fault.Invalidf("The guest ended as soon as it was started.")
	}
	return err
}

func (s *Servers) powerChanged(ctx context.Context, tx *db.Tx, r *powerRun) error {
	if err := endAction(ctx, tx, r.Object, r.RequestID, r.State.Set.Host, nil, stamp(s.Clock)); err != nil {
		return err
	}
	return s.touch(ctx, tx, r.Object, func(one *Server) error {
		verb := powerVerbs[r.Params.Verb]
		one.VM, one.Power, one.Task, one.Fault = verb.vm, verb.power, compute.NoTask, nil
		return nil
	})
}

// actionFailed ends a server's task without a change; a delete that waits has
// set the task itself.
func (s *Servers) actionFailed(ctx context.Context, tx *db.Tx, server, request string, why error) error {
	if err := endAction(ctx, tx, server, request, "", why, stamp(s.Clock)); err != nil {
		return err
	}
	return s.touch(ctx, tx, server, func(one *Server) error {
		if !task.Cancelled(why) {
			one.Task = compute.NoTask
			s.failed(one, why, request)
		}
		return nil
	})
}

type rebootParams struct{}

type rebootState struct {
	Host string `json:"host"`
}

type rebootRun = task.Run[rebootParams, rebootState]

// rebootSaga asks the guest to restart itself: a one-shot, since no desired
// state differs before and after it.
func (s *Servers) rebootSaga() task.Saga[rebootParams, rebootState] {
	return task.Saga[rebootParams, rebootState]{Name: "compute.server.reboot", Steps: []task.Step[rebootParams, rebootState]{
		{Name: "begin", UndoCommit: func(ctx context.Context, tx *db.Tx, r *rebootRun) error {
			return s.actionFailed(ctx, tx, r.Object, r.RequestID, r.Err)
		}},
		{Name: "reboot", Do: s.rebootGuest, Undo: s.forgetReboot, Timeout: 4 * time.Minute},
		{Name: "end", Do: s.forgetReboot, Commit: func(ctx context.Context, tx *db.Tx, r *rebootRun) error {
			if err := endAction(ctx, tx, r.Object, r.RequestID, r.State.Host, nil, stamp(s.Clock)); err != nil {
				return err
			}
			return s.touch(ctx, tx, r.Object, func(one *Server) error {
				one.VM, one.Power, one.Task = compute.Active, compute.PowerRunning, compute.NoTask
				return nil
			})
		}},
	}, Deadline: 10 * time.Minute}
}

// rebootToken is the same in all steps of one saga: forgetting needs it too.
func rebootToken(r *rebootRun) string { return r.ID }

func (s *Servers) rebootGuest(ctx context.Context, r *rebootRun) error {
	one, err := s.store.Get(ctx, r.Object)
	if err != nil {
		return err
	}
	r.State.Host = one.Host
	_, err = s.Agents.Do(ctx, one.Host, hostlink.Command{Token: rebootToken(r), Section: hostlink.Guests, Object: one.ID, Verb: "reboot",
		Params: mustJSON(map[string]string{"kind": string(guest.RebootSoft)}), Timeout: 3 * time.Minute})
	return err
}

func (s *Servers) forgetReboot(ctx context.Context, r *rebootRun) error {
	if r.State.Host == "" || !s.Agents.Alive(r.State.Host) {
		return nil // a host that is gone forgets when it is set up anew
	}
	return s.Agents.Forget(ctx, r.State.Host, rebootToken(r))
}
