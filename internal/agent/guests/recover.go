package guests

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
)

var _ hostlink.Recoverer = (*Applier)(nil)

// Recover finds the guests whose own disks a restored database would have made
// empty or anew: see hostlink.Recoverer.
func (a *Applier) Recover(ctx context.Context, old, now hostlink.Document) ([]hostlink.Kept, error) {
	before, after, err := specs(old, now)
	if err != nil {
		return nil, err
	}
	here, err := a.driver.List(ctx)
	if err != nil {
		return nil, err
	}
	var out []hostlink.Kept
	for id, spec := range after {
		was, known := before[id]
		present := slices.ContainsFunc(here, func(f guest.Facts) bool { return f.ID == id })
		k := hostlink.Kept{ID: id}
		switch {
		case len(ownDisks(spec)) == 0:
			continue // all that it has are volumes
		case !present:
			k.Kind = hostlink.KeptLost
		case known && !sameContent(was, spec):
			k.Kind = hostlink.KeptDiverged
		default:
			continue
		}
		if k.Now, err = json.Marshal(spec); err == nil && known {
			k.Spec, err = json.Marshal(was)
		}
		if err != nil {
			return nil, fault.Internalf("spec of guest %s: %w", id, err)
		}
		out = append(out, k)
	}
	return out, nil
}

// specs are the guests of two documents, by id.
func specs(old, now hostlink.Document) (before, after map[string]guest.Spec, err error) {
	read := func(d hostlink.Document) (map[string]guest.Spec, error) {
		var body guest.Document
		if err := json.Unmarshal(d.Body, &body); err != nil {
			return nil, fault.Invalidf("the document of guests cannot be read").Because(err)
		}
		out := make(map[string]guest.Spec, len(body.Guests))
		for _, s := range body.Guests {
			out[s.ID] = s
		}
		return out, nil
	}
	if before, err = read(old); err != nil {
		return nil, nil, err
	}
	after, err = read(now)
	return before, after, err
}

// Over tells that a rebuild was asked for: the old content is not wanted.
func (a *Applier) Over(k hostlink.Kept, raw json.RawMessage) bool {
	var found, spec guest.Spec
	return json.Unmarshal(k.Now, &found) == nil && json.Unmarshal(raw, &spec) == nil && spec.BuildSerial > found.BuildSerial
}

// ownDisks are the disks that go with the guest.
func ownDisks(s guest.Spec) []guest.Disk {
	var out []guest.Disk
	for _, d := range s.Disks {
		if d.Kind == guest.DiskImage || d.Kind == guest.DiskBlank {
			out = append(out, d)
		}
	}
	return out
}

// sameContent tells whether a guest's own disks can go from one Spec to another
// with what was written to them.
func sameContent(was, spec guest.Spec) bool {
	return was.BuildSerial == spec.BuildSerial && slices.EqualFunc(ownDisks(was), ownDisks(spec), func(a, b guest.Disk) bool {
		return a.ID == b.ID && a.Kind == b.Kind && a.ImageID == b.ImageID && a.From == b.From && slices.Equal(a.Layers, b.Layers)
	})
}

// instead says what is done about a guest that cannot become what spec says
// without losing data: another Spec, or an answer at once. An order to switch off
// is obeyed.
func instead(k hostlink.Kept, spec guest.Spec) (guest.Spec, *hostlink.ObjectReport) {
	var found, was guest.Spec
	if k.Kind == "" || k.Kind == hostlink.KeptUnknown || json.Unmarshal(k.Now, &found) != nil {
		return spec, nil
	}
	off := spec.Power == guest.Stopped && spec.PowerSerial > found.PowerSerial
	answer := &hostlink.ObjectReport{ID: spec.ID, Phase: hostlink.Failed}
	switch {
	case k.Kind == hostlink.KeptLost && off:
		answer.Phase = hostlink.Ready
	case k.Kind == hostlink.KeptLost:
		answer.Error = "The disks of this server are not on its host: it was deleted or moved after the backup from which the cloud was restored."
	case off && json.Unmarshal(k.Spec, &was) == nil:
		was.Power, was.PowerSerial, was.StopSeconds = guest.Stopped, spec.PowerSerial, spec.StopSeconds
		return was, nil
	default:
		answer.Error = "The disks of this server were changed after the backup from which the cloud was restored. They are kept as they are."
	}
	return spec, answer
}

// quarantine switches a guest off and keeps its disks. Under mu. Nobody knows
// its addresses and volumes any more, so they may be given to others: a guest
// that went on would answer at another's address, or write to a volume that
// another guest has open. Where nobody remembers its Spec it is left alone.
func (a *Applier) quarantine(k hostlink.Kept) {
	text := "quarantine " + string(k.Spec)
	var spec guest.Spec
	if j := a.jobs[k.ID]; j != nil && j.text == text || json.Unmarshal(k.Spec, &spec) != nil || spec.ID != k.ID {
		return
	}
	spec.Power, spec.NICs, spec.StopSeconds = guest.Stopped, nil, max(spec.StopSeconds, quarantineStop)
	a.start(k.ID, text, func(ctx context.Context) hostlink.ObjectReport {
		for pause := quarantinePause; ; pause = min(2*pause, 16*quarantinePause) {
			o := a.ensure(ctx, spec)
			if o.Phase != hostlink.Pending || ctx.Err() != nil {
				return o
			}
			select { // nobody waits for this job, so it does not give up
			case <-a.clock.After(pause):
			case <-ctx.Done():
			}
		}
	})
}
