package hostlink

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
)

// Sum is of one object's canonical JSON.
type Sum [16]byte

// Listing names an object of a document, and what it is there.
type Listing struct {
	ID  string
	Sum Sum
}

// Listed is a document without its texts: enough to tell what differs in
// another. Every section's body is one list of objects with ids.
type Listed struct {
	Member  string    // the name of the list
	Objects []Listing // ascending by ID
}

// listMark begins the digest of a document that is a list: it is of what the
// objects are, so that both sides know it after a change without the others' texts.
const listMark = "list:"

// Digest is that of a document that lists just this.
func (l Listed) Digest() string {
	text := make([]byte, 0, len(l.Member)+1+len(l.Objects)*(36+1+len(Sum{})))
	text = append(append(text, l.Member...), 0)
	for _, o := range l.Objects {
		text = append(append(text, o.ID...), 0)
		text = append(text, o.Sum[:]...)
	}
	sum := sha256.Sum256(text)
	return listMark + hex.EncodeToString(sum[:])
}

// Find tells where an object is, or where it would be.
func (l Listed) Find(id string) (at int, there bool) {
	return slices.BinarySearchFunc(l.Objects, id, func(o Listing, id string) int { return strings.Compare(o.ID, id) })
}

// With is a copy in which objects are set and others removed.
func (l Listed) With(set []Listing, remove []string) Listed {
	out := Listed{l.Member, make([]Listing, 0, len(l.Objects)+len(set))}
	gone := make(map[string]bool, len(set)+len(remove))
	for _, o := range set {
		gone[o.ID] = true
	}
	for _, id := range remove {
		gone[id] = true
	}
	for _, o := range l.Objects {
		if !gone[o.ID] {
			out.Objects = append(out.Objects, o)
		}
	}
	out.Objects = append(out.Objects, set...)
	slices.SortFunc(out.Objects, func(a, b Listing) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// Take takes a canonical body apart; texts are in the order of the objects. Not
// ok: it is no list of objects with ids.
func Take(body json.RawMessage) (l Listed, texts []json.RawMessage, ok bool) {
	c := cutter{in: body}
	if !c.next('{') {
		return l, nil, false
	}
	name, ok := c.member()
	if !ok || !c.next('[') {
		return l, nil, false
	}
	l.Member = string(name)
	for first := true; !c.next(']'); first = false {
		if !first && !c.next(',') {
			return l, nil, false
		}
		text, id, ok := c.object()
		if !ok {
			return l, nil, false
		}
		l.Objects, texts = append(l.Objects, Listing{id, sumOf(text)}), append(texts, text)
	}
	if !c.next('}') || c.at != len(c.in) {
		return l, nil, false
	}
	return inOrder(l, texts)
}

// inOrder sorts what was taken apart; an id that comes twice makes it no list.
func inOrder(l Listed, texts []json.RawMessage) (Listed, []json.RawMessage, bool) {
	byID := func(a, b Listing) int { return strings.Compare(a.ID, b.ID) }
	if !slices.IsSortedFunc(l.Objects, byID) {
		order := make([]int, len(texts))
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(a, b int) int { return byID(l.Objects[a], l.Objects[b]) })
		objects, sorted := make([]Listing, len(order)), make([]json.RawMessage, len(order))
		for to, from := range order {
			objects[to], sorted[to] = l.Objects[from], texts[from]
		}
		l.Objects, texts = objects, sorted
	}
	for i := 1; i < len(l.Objects); i++ {
		if l.Objects[i].ID == l.Objects[i-1].ID {
			return l, nil, false
		}
	}
	return l, texts, true
}

func sumOf(text []byte) (out Sum) {
	sum := sha256.Sum256(text)
	copy(out[:], sum[:])
	return out
}

// Body is the canonical text of a list.
func (l Listed) Body(texts []json.RawMessage) json.RawMessage {
	size := len(l.Member) + 8
	for _, t := range texts {
		size += len(t) + 1
	}
	out := make([]byte, 0, size)
	out = append(append(append(out, `{"`...), l.Member...), `":[`...)
	out = append(out, bytes.Join(raw(texts), []byte{','})...)
	return append(out, `]}`...)
}

func raw(texts []json.RawMessage) [][]byte {
	out := make([][]byte, len(texts))
	for i, t := range texts {
		out[i] = t
	}
	return out
}

// Delta is what makes a document out of the one before it.
type Delta struct {
	Section  Section           `json:"section"`
	Revision int64             `json:"revision"`
	Epoch    int64             `json:"epoch,omitempty"`
	Base     string            `json:"base"`   // digest of the document that it changes
	Digest   string            `json:"digest"` // of the one that comes out
	Member   string            `json:"member"`
	Set      []json.RawMessage `json:"set,omitempty"` // canonical
	Remove   []string          `json:"remove,omitempty"`
}

// Held names the document that comes out.
func (d Delta) Held() Held { return Held{d.Section, d.Revision, d.Digest, d.Epoch} }

// WholeWanted is the code of the refusal of a delta: what it changes is not
// what is here. Who sent it sends the whole.
const WholeWanted = "WholeWanted"

// Mismatch is the refusal of a delta.
func Mismatch(why string) error { return fault.Conflictf("%s", why).With(WholeWanted) }

// Apply makes the new document of the one before.
func (d Delta) Apply(before Document) (Document, error) {
	if before.Digest != d.Base || before.Epoch != d.Epoch || before.Section != d.Section {
		return Document{}, Mismatch("the delta is of another document")
	}
	old, oldTexts, ok := Take(before.Body)
	if !ok || old.Member != d.Member {
		return Document{}, Mismatch("what the delta changes is no such list")
	}
	texts := make(map[string]json.RawMessage, len(oldTexts)+len(d.Set))
	for i, o := range old.Objects {
		texts[o.ID] = oldTexts[i]
	}
	set := make([]Listing, 0, len(d.Set))
	for _, text := range d.Set {
		c := cutter{in: text}
		whole, id, ok := c.object()
		if !ok || c.at != len(text) {
			return Document{}, Mismatch("the delta has what is no object")
		}
		texts[id], set = whole, append(set, Listing{id, sumOf(whole)})
	}
	now := old.With(set, d.Remove)
	if now.Digest() != d.Digest {
		return Document{}, Mismatch("the delta does not lead to its digest")
	}
	sorted := make([]json.RawMessage, len(now.Objects))
	for i, o := range now.Objects {
		sorted[i] = texts[o.ID]
	}
	return Document{Section: d.Section, Revision: d.Revision, Digest: d.Digest, Epoch: d.Epoch, Body: now.Body(sorted)}, nil
}
