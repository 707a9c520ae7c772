package check

import (
	"context"
	"fmt"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/hostlink"
)

// Mode says how much is tolerated.
type Mode string

// The modes.
const (
	Live     Mode = "live"     // the cloud is at work
	Quiesced Mode = "quiesced" // nothing is going on: exact
)

// Finding is a broken invariant. Codes are stable.
type Finding struct {
	Code     string `json:"code"` // "I-06/ghost-consumer"
	Subject  string `json:"subject"`
	Evidence string `json:"evidence"` // of both sides
	Remedy   string `json:"remedy"`
}

func (f Finding) String() string {
	return fmt.Sprintf("%s: %s: %s → %s", f.Code, f.Subject, f.Evidence, f.Remedy)
}

// Code declares one way in which an invariant can be broken.
type Code struct {
	ID     string // the invariant, a slash, what is wrong in one or two words
	Means  string // for the operator's table
	Remedy string // what to do; there are no repair commands
}

// Check is one look at one thing. Run reports codes of its own only.
type Check struct {
	Name  string // "compute/guests"
	Codes []Code
	// Rows says that it compares rows of one moment and asks no host: what it
	// finds of objects that no saga owns is wrong at once, whatever the mode.
	Rows bool
	Run  func(ctx context.Context, l *Look) error
}

// Object is what a host says of one thing it has.
type Object = hostlink.ObjectReport

// Section names a part of what hosts have.
type Section = hostlink.Section

// The sections there are.
const (
	Guests  = hostlink.Guests
	Ports   = hostlink.Ports
	Volumes = hostlink.Volumes
)

// Ready is the phase of what is as desired.
const Ready = hostlink.Ready

// Host is a host and what it says it has.
type Host struct {
	Name     string
	Sections map[Section]hostlink.Inventory
	// Silent are sections that could not be asked for, with the reason: nothing
	// is known of them, so nothing of theirs is missing.
	Silent map[Section]string
}

// Has tells whether the host answered for a section, and with what.
func (h Host) Has(s Section) (map[string]Object, bool) {
	inv, ok := h.Sections[s]
	if !ok {
		return nil, false
	}
	out := make(map[string]Object, len(inv.Objects))
	for _, o := range inv.Objects {
		if o.Phase != hostlink.Absent && o.Phase != hostlink.Quarantined { // the latter has a check of its own
			out[o.ID] = o
		}
	}
	return out, true
}

// Look is what a check sees. It is used by one goroutine.
type Look struct {
	db.Querier // one moment of the database
	Mode       Mode
	Now        time.Time
	Hosts      []Host // that are alive
	Sagas      []Saga // that have not ended

	busy  map[string]bool // objects that live sagas own
	check *Check
	found []found
}

type found struct {
	Finding
	now bool // no grace
}

// Saga is one that has not ended.
type Saga struct {
	ID, Op, Object string

	Waiting bool // for another of its object to end
}

// SagasOf are the sagas of an object that have not ended.
func (l *Look) SagasOf(object string) []Saga {
	if !l.busy[object] {
		return nil
	}
	var out []Saga
	for _, s := range l.Sagas {
		if s.Object == object {
			out = append(out, s)
		}
	}
	return out
}

// Host finds a host that is alive.
func (l *Look) Host(name string) (Host, bool) {
	for _, h := range l.Hosts {
		if h.Name == name {
			return h, true
		}
	}
	return Host{}, false
}

// Subject is what a finding is about.
type Subject struct {
	Kind string // "server"
	ID   string
	With []string // other objects whose sagas explain it
}

// Of makes a subject.
func Of(kind, id string, with ...string) Subject { return Subject{kind, id, with} }

// Busy tells whether a live saga owns one of these objects, and the mode tolerates that.
func (l *Look) Busy(ids ...string) bool {
	if l.Mode == Quiesced {
		return false
	}
	for _, id := range ids {
		if l.busy[id] {
			return true
		}
	}
	return false
}

// Report files a finding, unless a live saga owns what it is about.
func (l *Look) Report(c Code, s Subject, evidence string, args ...any) {
	if l.Busy(append(s.With, s.ID)...) {
		return
	}
	subject := s.ID
	if s.Kind != "" {
		subject = s.Kind + " " + s.ID
	}
	l.found = append(l.found, found{Finding{c.ID, subject, fmt.Sprintf(evidence, args...), c.Remedy}, l.check.Rows})
}

// Micros is the moment of the look as rows keep times.
func (l *Look) Micros() int64 { return clock.Micros(l.Now) }

// Each runs a query and calls fn for every row, with a function that reads its columns.
func (l *Look) Each(ctx context.Context, query string, fn func(scan func(...any) error) error, args ...any) error {
	rows, err := l.QueryContext(ctx, query, args...)
	if err != nil {
		return db.Translate(err, "check")
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return db.Translate(err, "check")
		}
	}
	return db.Translate(rows.Err(), "check")
}
