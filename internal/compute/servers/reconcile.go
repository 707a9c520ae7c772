package servers

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hoststate"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/reconcile"
)

// Render is the hostlink.Renderer of section guests. The revision is read
// before the rows, so that a document never claims what it has not seen.
func (s *Servers) Render(ctx context.Context, host string) (body any, revision int64, err error) {
	if revision, err = hoststate.Revision(ctx, s.DB, host, string(hostlink.Guests)); err != nil {
		return nil, 0, err
	}
	all, err := definedOn(ctx, s.DB, host)
	if err != nil {
		return nil, 0, err
	}
	kept, err := keptOn(ctx, s.DB, host)
	if err != nil {
		return nil, 0, err
	}
	doc, err := s.document(ctx, all, kept)
	return doc, revision, err
}

// RenderSome is the hostlink.Part of section guests.
func (s *Servers) RenderSome(ctx context.Context, host string, servers []string) (any, error) {
	all, err := definedOn(ctx, s.DB, host, in("id", servers))
	if err != nil {
		return nil, err
	}
	kept, err := keptOn(ctx, s.DB, host, in("server", servers))
	if err != nil {
		return nil, err
	}
	return s.document(ctx, all, kept)
}

func (s *Servers) document(ctx context.Context, all []*Server, kept []guest.Spec) (guest.Document, error) {
	doc := guest.Document{Guests: make([]guest.Spec, 0, len(all)+len(kept))}
	ids := make([]string, len(all))
	for i, one := range all {
		ids[i] = one.ID
	}
	disks, err := disksOf(ctx, s.DB, ids...)
	if err != nil {
		return doc, err
	}
	nics, err := nicsOf(ctx, s.DB, ids...)
	if err != nil {
		return doc, err
	}
	if err := s.refresh(ctx, ids, nics); err != nil {
		return doc, err
	}
	for _, one := range all {
		doc.Guests = append(doc.Guests, specOf(s.shown(one), disks[one.ID], nics[one.ID]))
	}
	doc.Guests = append(doc.Guests, kept...)
	slices.SortFunc(doc.Guests, func(a, b guest.Spec) int { return strings.Compare(a.ID, b.ID) })
	return doc, nil
}

// refresh lays over cards what networks say of them now: floating addresses
// come and go without a change of the server, and its metadata shows them.
func (s *Servers) refresh(ctx context.Context, ids []string, nics map[string][]*NIC) error {
	if len(ids) == 0 {
		return nil
	}
	now, err := s.Networks.Interfaces(ctx, ids...)
	if err != nil {
		return err
	}
	for server, cards := range nics {
		for _, n := range cards {
			for _, i := range now[server] {
				if i.PortID == n.PortID {
					n.Facts = i
				}
			}
		}
	}
	return nil
}

// fewObjects is how many a report lists at most for them to be asked for by name.
const fewObjects = 20

// Observe takes over what a host reports of its guests by themselves: one that
// switched itself off is stopped, one that died is stopped and in power state
// crashed. A server with a task is its saga's business.
func (s *Servers) Observe(ctx context.Context, r hostlink.Report) error {
	var all error
	if len(r.Objects) == 0 {
		return nil
	}
	var which []string
	if len(r.Objects) <= fewObjects {
		for _, o := range r.Objects {
			which = append(which, o.ID)
		}
	}
	known, err := briefs(ctx, s.DB, r.Host, which...)
	if err != nil {
		return err
	}
	for _, o := range r.Objects {
		one, ours := known[o.ID]
		all = errors.Join(all, s.observeOne(ctx, r.Host, o, one, ours))
	}
	return all
}

// observeOne takes over what a host reports of a guest, given what is known of its
// server; ours: it should be there and has no task.
func (s *Servers) observeOne(ctx context.Context, host string, o hostlink.ObjectReport, known brief, ours bool) error {
	if o.Kept == hostlink.KeptLost || o.Kept == hostlink.KeptDiverged {
		return s.apart(ctx, host, o)
	}
	if len(o.Facts) == 0 || !ours || o.Phase == hostlink.Quarantined || o.Kept == hostlink.KeptUnknown {
		return nil // who is in quarantine was switched off by its host, and will be let go on
	}
	var f guest.Facts
	if err := json.Unmarshal(o.Facts, &f); err != nil {
		return fault.Internalf("facts of guest %s: %w", o.ID, err)
	}
	if !differs(known, f) {
		return nil
	}
	return s.observe(ctx, host, o.ID, f)
}

// apart puts a server in ERROR whose host cannot obey without losing data, since
// the database went back in time. It may be rebuilt or deleted.
func (s *Servers) apart(ctx context.Context, host string, o hostlink.ObjectReport) error {
	concerned := func(one *Server) bool {
		return one.Host == host && one.Defined && one.Task == compute.NoTask && one.VM != compute.VMError && o.Phase == hostlink.Failed
	}
	if one, err := s.store.Get(ctx, o.ID); isGone(err) || err == nil && !concerned(one) {
		return nil
	} else if err != nil {
		return err
	}
	return s.DB.Write(ctx, func(tx *db.Tx) error {
		one, err := lockServer(ctx, tx, o.ID)
		if isGone(err) || err == nil && !concerned(one) {
			return nil
		}
		if err != nil {
			return err
		}
		s.failed(one, fault.Conflictf("%s", o.Error), "")
		one.VM, one.UpdatedAt = compute.VMError, stamp(s.Clock)
		return put(ctx, tx, one)
	})
}

func (s *Servers) observe(ctx context.Context, host, serverID string, f guest.Facts) error {
	one, err := s.store.Get(ctx, serverID)
	if isGone(err) {
		return nil // not ours any more; the next document says so
	}
	if err != nil {
		return err
	}
	if _, _, changed := observed(one, host, f); !changed {
		return nil
	}
	return s.DB.Write(ctx, func(tx *db.Tx) error {
		one, err := lockServer(ctx, tx, serverID)
		if isGone(err) {
			return nil
		}
		if err != nil {
			return err
		}
		vm, power, changed := observed(one, host, f)
		if !changed {
			return nil
		}
		one.VM, one.Power, one.UpdatedAt = vm, power, stamp(s.Clock)
		return put(ctx, tx, one)
	})
}

// observed is what a guest's facts make of a server: a pure function. A host
// may state facts only about servers assigned to it, under the present serial.
func observed(one *Server, host string, f guest.Facts) (compute.VMState, compute.PowerState, bool) {
	if one.Host != host || !one.Defined || one.Task != compute.NoTask || f.PowerSerial != one.PowerSerial || one.VM == compute.VMError {
		return one.VM, one.Power, false
	}
	vm, power := following(one.VM, one.Power, f)
	return vm, power, vm != one.VM || power != one.Power
}

// differs tells whether facts may be news: a host reports all of its guests
// whenever one changes, and nearly all are as they were.
func differs(one brief, f guest.Facts) bool {
	vm, power := following(one.VM, one.Power, f)
	return vm != one.VM || power != one.Power
}

// following is the state of a server whose guest is as facts say.
func following(was compute.VMState, power compute.PowerState, f guest.Facts) (compute.VMState, compute.PowerState) {
	vm := was
	switch f.Power {
	case guest.Running:
		vm, power = compute.Active, compute.PowerRunning
	case guest.Stopped:
		vm, power = compute.VMStopped, compute.PowerShutdown
	case guest.Crashed:
		vm, power = compute.VMStopped, compute.PowerCrashed
	case guest.Paused:
		vm, power = compute.VMPaused, compute.PowerPaused
	case guest.Suspended:
		vm, power = compute.VMSuspended, compute.PowerShutdown
	}
	if !slices.Contains(powered, was) || f.Stalled && f.Power == guest.Paused { // nobody paused it, and nobody has to say that it may go on
		vm = was
	}
	return vm, power
}

// powered are the states that change with the guest's power. Others (rescued,
// resized, shelved) end only by what a user asks for.
var powered = []compute.VMState{compute.Active, compute.VMStopped, compute.VMPaused, compute.VMSuspended}

// Reconcilers keep servers true to their hosts and to their sagas.
func (s *Servers) Reconcilers() []reconcile.Reconciler {
	return []reconcile.Reconciler{
		{Name: "compute.power", Every: time.Minute, Run: s.syncPower},
		{Name: "compute.cards", Every: 10 * time.Second, Run: s.withdrawCards},
		{Name: "compute.lost-tasks", Every: time.Minute, Run: s.endLostTasks},
		{Name: "compute.confirm", Every: time.Minute, Run: s.confirmOld},
		{Name: "compute.history", Every: time.Hour, Run: s.forgetOld},
	}
}

// syncPower looks at the last report about each server that has no task: one
// that came while a saga was at work was not taken over.
func (s *Servers) syncPower(ctx context.Context) error {
	idle := listing.Query{}.And("task_state", listing.Eq, "").And("defined", listing.Eq, true)
	var all error
	err := s.powerWalk.next(ctx, s.store, powersRun, idle, func(page []*glimpse) error {
		for _, one := range page {
			all = errors.Join(all, s.syncOne(ctx, one))
		}
		return nil
	})
	return errors.Join(all, err)
}

func (s *Servers) syncOne(ctx context.Context, one *glimpse) error {
	if !s.Agents.Alive(one.Host) {
		return nil
	}
	soon, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	report, err := s.Agents.Await(soon, one.Host, hostlink.Guests, 0, one.ID)
	if err != nil || len(report.Facts) == 0 {
		return nil //nolint:nilerr // it has not reported yet; the next run looks again
	}
	return s.observeOne(ctx, one.Host, report, one.brief(), true)
}

// lostAfter is how old a task without a saga is before it is ended: the saga's
// row and the task end in one transaction, so that none should ever be seen.
const lostAfter = 30 * time.Second

// endLostTasks ends tasks that no saga is at work on.
func (s *Servers) endLostTasks(ctx context.Context) error {
	old := clock.Micros(s.Clock.Now().Add(-lostAfter))
	all, err := s.store.busySince(ctx, old)
	for _, one := range all {
		err = errors.Join(err, s.DB.Write(ctx, func(tx *db.Tx) error {
			live, err := s.Tasks.Live(ctx, tx, one.ID)
			if err != nil || len(live) > 0 {
				return err
			}
			now, err := lockServer(ctx, tx, one.ID)
			if isGone(err) || err == nil && now.Task != one.Task {
				return nil // the saga has ended since the list was read
			}
			if err != nil {
				return err
			}
			s.Log.Error("a server had a task without a saga", "server", one.ID, "task", one.Task)
			return s.touch(ctx, tx, one.ID, func(one *Server) error {
				if one.VM == compute.Building || one.Task == compute.Deleting {
					one.VM = compute.VMError
					s.failed(one, fault.Unavailablef("The operation was lost; it can be tried again."), "")
				}
				one.Task = compute.NoTask
				return nil
			})
		}))
	}
	return err
}

// Extended tells a server's host that a volume has grown (blockstorage.Servers),
// and notes it among what was done to the server.
func (s *Servers) Extended(ctx context.Context, serverID, volumeID, request string, sizeGiB int64) error {
	return s.DB.Write(ctx, func(tx *db.Tx) error {
		d, err := diskOfVolume(ctx, tx, serverID, volumeID)
		if isGone(err) {
			return nil
		}
		if err != nil {
			return err
		}
		d.SizeGiB = int(sizeGiB)
		if err := putDisk(ctx, tx, d); err != nil {
			return err
		}
		one, err := lockServer(ctx, tx, serverID)
		if err != nil {
			return err
		}
		now := stamp(s.Clock)
		if err := beginAction(ctx, tx, one, "extend_volume", "compute_extend_volume", "", request, now); err != nil {
			return err
		}
		if _, err := s.raise(ctx, tx, one.Host, one.ID); err != nil {
			return err
		}
		return endAction(ctx, tx, serverID, request, one.Host, nil, now)
	})
}

// ConsoleOutput is the end of what the guest wrote to its serial port: the last
// lines of it, all that is kept for lines < 0.
func (s *Servers) consoleOutput(ctx context.Context, one *Server, lines int, token string) (string, error) {
	if one.Host == "" {
		return "", fault.Conflictf("Instance %s is not ready", one.ID)
	}
	raw, err := s.Agents.Do(ctx, one.Host, hostlink.Command{Token: token, Section: hostlink.Guests, Object: one.ID, Verb: "console-log",
		Params: mustJSON(map[string]int{"lines": lines}), Timeout: 20 * time.Second})
	if err != nil {
		return "", err
	}
	var out struct {
		Output []byte `json:"output"`
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return "", fault.Internalf("console log of %s: %w", one.ID, err)
	}
	return string(out.Output), s.Agents.Forget(ctx, one.Host, token)
}
