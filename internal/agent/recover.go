package agent

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
)

// A server whose database was restored from a backup knows nothing of what was
// made since, and its documents have lower revisions than those this host has
// accepted. Their epoch is later. The host then does not obey at once: what the
// last document of the old epoch named and the new one does not is kept, and so
// is what could be obeyed only by losing data. Removals within an epoch go on as
// always: they are decisions, not gaps in memory.

// enter prepares for a document that is about to replace the present one. The
// caller holds mu.
func (s *section) enter(doc hostlink.Document) {
	if doc.Epoch == s.doc.Epoch {
		return
	}
	if s.before.Digest == "" && s.doc.Digest != "" {
		s.before = s.doc
	}
	s.applied = 0 // revisions count anew
	s.news.all()
	for id, o := range s.objects {
		o.Revision = 0
		s.objects[id] = o
	}
}

// recover says what is kept under a document, after it made durable what differs
// from before.
func (s *section) recover(ctx context.Context, doc hostlink.Document) (map[string]hostlink.Kept, error) {
	s.mu.Lock()
	before, was := s.before, s.kept
	s.mu.Unlock()
	if before.Digest == "" && len(was) == 0 {
		return was, nil // as it nearly always is
	}
	named := objectsOf(doc)
	kept := maps.Clone(was)
	recoverer, able := s.applier.(hostlink.Recoverer)
	maps.DeleteFunc(kept, func(id string, k hostlink.Kept) bool {
		spec, yes := named[id]
		return yes == (k.Kind == hostlink.KeptUnknown) || yes && able && recoverer.Over(k, spec)
	})
	if before.Digest != "" {
		for id, spec := range objectsOf(before) {
			if _, yes := named[id]; !yes {
				kept[id] = hostlink.Kept{ID: id, Kind: hostlink.KeptUnknown, Spec: spec}
			}
		}
		if able {
			found, err := recoverer.Recover(ctx, before, doc)
			if err != nil {
				return nil, err
			}
			for _, k := range found {
				kept[k.ID] = k
			}
		}
	} else if len(kept) == len(was) {
		return kept, nil
	}
	list := make([]hostlink.Kept, 0, len(kept))
	for id, k := range kept {
		if k.Epoch == 0 {
			k.Epoch = doc.Epoch
			kept[id] = k
			s.log.Warn("the database of the server went back in time: an object is kept as it is", "section", s.name, "object", id, "kind", k.Kind)
		}
		list = append(list, k)
	}
	if err := s.keep(doc.Epoch, kept, list); err != nil {
		return nil, err
	}
	s.tell(s.name)
	return kept, nil
}

// keep makes the list durable, unless yet another epoch began meanwhile.
func (s *section) keep(epoch int64, kept map[string]hostlink.Kept, list []hostlink.Kept) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.doc.Epoch != epoch {
		return fault.Unavailablef("a newer document has come")
	}
	if err := s.save(record{Kept: &keptList{s.name, sorted(list)}}); err != nil {
		return fault.Unavailablef("the host cannot write its journal").Because(err)
	}
	s.before, s.kept = hostlink.Document{}, kept
	s.news.all()
	return nil
}

// release ends the quarantine of an object, which is then removed like any
// other that no document names.
func (s *section) release(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.kept[id]
	if !ok {
		return nil
	}
	if k.Kind != hostlink.KeptUnknown {
		return fault.Conflictf("%s is not in quarantine: delete or rebuild it through the API", id)
	}
	rest := maps.Clone(s.kept)
	delete(rest, id)
	if err := s.save(record{Kept: &keptList{s.name, sorted(slices.Collect(maps.Values(rest)))}}); err != nil {
		return fault.Unavailablef("the host cannot write its journal").Because(err)
	}
	s.kept = rest
	s.news.all()
	if s.stop != nil {
		s.stop() // it runs with what was kept before
	}
	s.kick()
	return nil
}

// tellKept adds what is kept to a report. The caller holds mu.
func (s *section) tellKept(r *hostlink.Report) {
	for id, k := range s.kept {
		o, known := s.objects[id]
		if !known {
			o = hostlink.ObjectReport{ID: id, Revision: s.applied}
		}
		o.Kept = k.Kind
		if k.Kind == hostlink.KeptUnknown {
			o.Phase = hostlink.Quarantined
		}
		if known || k.Kind == hostlink.KeptUnknown {
			r.Objects = append(r.Objects, o)
		}
		k.Spec, k.Now = told(k.Spec), nil
		r.Kept = append(r.Kept, k)
	}
	r.Kept = sorted(r.Kept)
}

// told is a spec without what is secret or large: it goes into lists for operators.
func told(spec json.RawMessage) json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(spec, &members) != nil {
		return nil
	}
	delete(members, "metadata")
	out, err := json.Marshal(members)
	if err != nil {
		return nil // cannot happen: the members were read just now
	}
	return out
}

// objectsOf lists what a document names: every section's body is one list of
// objects with ids.
func objectsOf(doc hostlink.Document) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	var body map[string]json.RawMessage
	if json.Unmarshal(doc.Body, &body) != nil {
		return out
	}
	for _, member := range body {
		var list []json.RawMessage
		if json.Unmarshal(member, &list) != nil {
			continue
		}
		for _, raw := range list {
			var object struct{ ID string }
			if json.Unmarshal(raw, &object) == nil && object.ID != "" {
				out[object.ID] = raw
			}
		}
	}
	return out
}

func keptByID(list []hostlink.Kept) map[string]hostlink.Kept {
	out := make(map[string]hostlink.Kept, len(list))
	for _, k := range list {
		out[k.ID] = k
	}
	return out
}

func sorted(list []hostlink.Kept) []hostlink.Kept {
	slices.SortFunc(list, func(a, b hostlink.Kept) int { return strings.Compare(a.ID, b.ID) })
	return list
}
