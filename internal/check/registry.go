package check

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/id"
)

// The times of a look at a cloud at work, and the bounds of one look.
const (
	grace      = 30 * time.Second
	lookAgain  = 2 * time.Second
	askTimeout = 10 * time.Second
	// maxPerCode bounds a report: one mistake may show in every object.
	maxPerCode = 100
)

// Agents is how hosts are asked; hub.Hub.
type Agents interface {
	Names() []string
	Do(ctx context.Context, host string, cmd hostlink.Command) (json.RawMessage, error)
}

// Config is what looks are taken with.
type Config struct {
	DB     *db.DB
	Clock  clock.Clock
	Agents Agents // nil: there are no hosts
	// Sagas lists those that have not ended.
	Sagas    func(ctx context.Context, q db.Querier) ([]Saga, error)
	Sections []Section     // to ask hosts for; nil: all
	Grace    time.Duration // 0: 30 s
}

// Registry holds the checks of all services. Add is for wiring; the rest is
// safe for concurrent use.
type Registry struct {
	cfg    Config
	checks []Check
}

// Report is the answer of a run.
type Report struct {
	Mode     Mode      `json:"mode"`
	Examined []string  `json:"examined"`
	Findings []Finding `json:"findings"`
}

// New makes an empty registry.
func New(c Config) *Registry {
	if c.Grace == 0 {
		c.Grace = grace
	}
	if c.Sections == nil {
		c.Sections = []Section{Guests, Ports, Volumes}
	}
	return &Registry{cfg: c}
}

// Asking is the same registry asking others for hosts.
func (r *Registry) Asking(a Agents) *Registry {
	out := *r
	out.cfg.Agents = a
	return &out
}

// Add takes a service's checks.
func (r *Registry) Add(checks ...Check) { r.checks = append(r.checks, checks...) }

// Codes lists every code that can be reported, in order.
func (r *Registry) Codes() []Code {
	var out []Code
	for _, c := range r.checks {
		out = append(out, c.Codes...)
	}
	slices.SortFunc(out, func(a, b Code) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Names lists the checks, in the order they run.
func (r *Registry) Names() []string {
	var out []string
	for _, c := range r.checks {
		out = append(out, c.Name)
	}
	return out
}

// Run evaluates the checks whose names begin with one of these, or all. A check
// that fails to run is a finding too. In mode Live it returns when all that is
// found has lasted for the grace, or is gone.
func (r *Registry) Run(ctx context.Context, mode Mode, only ...string) (Report, error) {
	began := r.cfg.Clock.Now()
	out := Report{Mode: mode, Findings: []Finding{}}
	stays := map[string]bool{} // seen in every look until now
	for first := true; ; first = false {
		names, list, err := r.look(ctx, mode, only)
		if err != nil {
			return out, err
		}
		out.Examined, out.Findings = names, out.Findings[:0]
		settled, next := true, map[string]bool{}
		for _, f := range list {
			key := f.Code + " " + f.Subject
			if f.now || mode == Quiesced {
				out.Findings = append(out.Findings, f.Finding)
				continue
			}
			if next[key] = first || stays[key]; next[key] {
				out.Findings = append(out.Findings, f.Finding)
				settled = false
			}
		}
		if stays = next; settled || r.cfg.Clock.Now().Sub(began) >= r.cfg.Grace {
			return out, nil
		}
		select {
		case <-ctx.Done():
			return out, ctx.Err()
		case <-r.cfg.Clock.After(lookAgain):
		}
	}
}

// look evaluates the checks once. Hosts are asked before the database is read:
// what a host has by then, rows must explain.
func (r *Registry) look(ctx context.Context, mode Mode, only []string) (names []string, all []found, err error) {
	hosts := r.ask(ctx)
	err = r.cfg.DB.Snapshot(ctx, func(q db.Querier) error {
		names, all = nil, nil
		var sagas []Saga
		if r.cfg.Sagas != nil {
			if sagas, err = r.cfg.Sagas(ctx, q); err != nil {
				return err
			}
		}
		busy := map[string]bool{}
		for _, s := range sagas {
			busy[s.Object] = true
		}
		for i := range r.checks {
			c := &r.checks[i]
			if !wanted(c.Name, only) {
				continue
			}
			l := &Look{Querier: q, Mode: mode, Now: r.cfg.Clock.Now(), Hosts: hosts, Sagas: sagas, busy: busy, check: c}
			list, err := l.run(ctx)
			if err != nil {
				return err
			}
			names, all = append(names, c.Name), append(all, list...)
		}
		return nil
	})
	return names, all, err
}

func wanted(name string, only []string) bool {
	return len(only) == 0 || slices.ContainsFunc(only, func(o string) bool { return strings.HasPrefix(name, o) })
}

// run evaluates one check. The error is that of ctx only.
func (l *Look) run(ctx context.Context) ([]found, error) {
	err := l.check.Run(ctx, l)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	count, out := map[string]int{}, []found{}
	for _, f := range l.found {
		if !slices.ContainsFunc(l.check.Codes, func(c Code) bool { return c.ID == f.Code }) {
			err = errors.Join(err, fmt.Errorf("%s is not among the codes that %s declares", f.Code, l.check.Name))
		}
		if count[f.Code]++; count[f.Code] <= maxPerCode {
			out = append(out, f)
		}
	}
	for code, n := range count {
		if n > maxPerCode {
			out = append(out, found{Finding{code, "and more", fmt.Sprintf("%d in all", n), "as those above"}, l.check.Rows})
		}
	}
	if err != nil {
		out = append(out, found{Finding{"doctor/" + l.check.Name, l.check.Name, err.Error(), "look at the log of mek server"}, true})
	}
	return out, nil
}

// ask asks every host that is alive for what it has.
func (r *Registry) ask(ctx context.Context) []Host {
	if r.cfg.Agents == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	names := r.cfg.Agents.Names()
	slices.Sort(names)
	hosts := make([]Host, 0, len(names))
	for _, name := range names {
		h := Host{Name: name, Sections: map[Section]hostlink.Inventory{}, Silent: map[Section]string{}}
		for _, s := range r.cfg.Sections {
			raw, err := r.cfg.Agents.Do(ctx, name, hostlink.Command{Token: id.New(), Section: s, Verb: hostlink.TakeInventory, Timeout: askTimeout})
			var inv hostlink.Inventory
			if err == nil {
				err = json.Unmarshal(raw, &inv)
			}
			if err != nil {
				h.Silent[s] = err.Error()
				continue
			}
			h.Sections[s] = inv
		}
		hosts = append(hosts, h)
	}
	return hosts
}
