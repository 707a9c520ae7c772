package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/mekcloud/mek/internal/clock"
)

// RemoteCheck answers http: and https: checks. It MUST bound its time and the
// addresses it connects to, and answer false on any failure.
type RemoteCheck func(url string, c *Credentials, t Target) bool

// Options are an enforcer's settings; the zero value is what OpenStack ships.
type Options struct {
	OldDefaults bool        // or the deprecated checks in (enforce_new_defaults = false)
	AnyScope    bool        // ignore Rule.Scopes (enforce_scope = false)
	Remote      RemoteCheck // nil: http and https checks deny
	Clock       clock.Clock // nil: the machine's
}

// Enforcer answers for a set of rules. It is safe for concurrent use.
type Enforcer struct {
	opts    Options
	current atomic.Pointer[ruleSet]
	used    atomic.Bool

	mu         sync.Mutex // guards what follows and orders swaps of current
	registered map[string]Rule
	overrides  map[string]check // the operators' file
}

// compiled is a rule ready to be evaluated.
type compiled struct {
	check  check
	scopes []string
}

type ruleSet struct{ rules map[string]*compiled }

// New makes an enforcer with the standard options.
func New(rules ...[]Rule) (*Enforcer, error) { return NewWith(Options{}, rules...) }

// NewWith makes an enforcer. A rule of a later set replaces one of the same
// name in an earlier set, so that a service can mean its own by a name of Base.
// Errors: a check that cannot be read, a name twice in one set with different
// checks, a cycle between rules.
func NewWith(opts Options, sets ...[]Rule) (*Enforcer, error) {
	if opts.Clock == nil {
		opts.Clock = clock.Real{}
	}
	e := &Enforcer{opts: opts, registered: map[string]Rule{}}
	for _, set := range sets {
		layer := map[string]Rule{}
		if err := merge(layer, set); err != nil {
			return nil, err
		}
		maps.Copy(e.registered, layer)
	}
	return e, e.Register()
}

// merge adds rules to a set that may not contradict each other.
func merge(into map[string]Rule, rules []Rule) error {
	for _, r := range rules {
		if r.Name == "" {
			return fmt.Errorf("policy: a rule with the check %q has no name", r.Check)
		}
		old, ok := into[r.Name]
		if ok && (old.Check != r.Check || old.Deprecated != r.Deprecated || !slices.Equal(old.Scopes, r.Scopes)) {
			return fmt.Errorf("policy: rule %q is registered twice: %q and %q", r.Name, old.Check, r.Check)
		}
		if !ok {
			into[r.Name] = r
		}
	}
	return nil
}

// Register adds rules. It MUST come before the first call of Allow; a rule that
// is there already with the same check is left alone.
func (e *Enforcer) Register(rules ...Rule) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.used.Load() {
		return errors.New("policy: rules cannot be registered after the first decision")
	}
	next := maps.Clone(e.registered)
	if err := merge(next, rules); err != nil {
		return err
	}
	set, err := e.build(next, e.overrides)
	if err != nil {
		return err
	}
	e.registered = next
	e.current.Store(set)
	return nil
}

// Allow decides whether a caller may do to a target what the rule guards. A
// nil target has no attributes; an unknown rule or missing caller is denied.
func (e *Enforcer) Allow(rule string, c *Credentials, t Target) bool {
	if !e.used.Load() {
		e.used.Store(true)
	}
	set := e.current.Load()
	r := set.rules[rule]
	if r == nil || c == nil {
		return false
	}
	if len(r.scopes) > 0 && !e.opts.AnyScope && !slices.Contains(r.scopes, c.Scope()) {
		return false
	}
	return r.check.allows(&question{creds: c, target: t, rules: set, http: e.opts.Remote})
}

// Rules lists the registered rules by name, with their defaults.
func (e *Enforcer) Rules() []Rule {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.SortedFunc(maps.Values(e.registered), func(a, b Rule) int { return strings.Compare(a.Name, b.Name) })
}

// build compiles and links; nothing of the enforcer changes.
func (e *Enforcer) build(registered map[string]Rule, overrides map[string]check) (*ruleSet, error) {
	set := &ruleSet{rules: make(map[string]*compiled, len(registered)+len(overrides))}
	for name, r := range registered {
		c, err := parse(r.Check)
		if err != nil {
			return nil, fmt.Errorf("rule %q: %w", name, err)
		}
		if e.opts.OldDefaults && r.Deprecated != "" {
			old, err := parse(r.Deprecated)
			if err != nil {
				return nil, fmt.Errorf("rule %q: %w", name, err)
			}
			c = orCheck{c, old}
		}
		set.rules[name] = &compiled{check: c, scopes: r.Scopes}
	}
	for name, c := range overrides {
		set.rules[name] = &compiled{check: unlinked(c), scopes: registered[name].Scopes}
	}
	return set, set.link()
}

// link resolves references between rules and refuses cycles.
func (s *ruleSet) link() error {
	state := map[string]int{} // 1: being visited, 2: done
	var visit func(name string) error
	visit = func(name string) error {
		rule := s.rules[name]
		if rule == nil || state[name] == 2 {
			return nil
		}
		if state[name] == 1 {
			return fmt.Errorf("policy: rule %q refers to itself", name)
		}
		state[name] = 1
		err := references(rule.check, func(r *ruleCheck) error {
			r.rule = s.rules[r.name]
			return visit(r.name)
		})
		state[name] = 2
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.rules)) {
		if err := visit(name); err != nil {
			return err
		}
	}
	return nil
}

// references calls fn for each reference to a rule in a tree; is_admin refers
// to the rule that decides it.
func references(c check, fn func(*ruleCheck) error) error {
	var list []check
	switch v := c.(type) {
	case *ruleCheck:
		return fn(v)
	case attributeCheck:
		if v.kind == "is_admin" {
			return fn(&ruleCheck{name: adminRule})
		}
	case notCheck:
		list = []check{v.of}
	case andCheck:
		list = v
	case orCheck:
		list = v
	}
	for _, of := range list {
		if err := references(of, fn); err != nil {
			return err
		}
	}
	return nil
}

// unlinked copies a tree's references, so that sets of rules never share them.
func unlinked(c check) check {
	switch v := c.(type) {
	case *ruleCheck:
		return &ruleCheck{name: v.name}
	case notCheck:
		return notCheck{unlinked(v.of)}
	case andCheck:
		out := make(andCheck, len(v))
		for i, of := range v {
			out[i] = unlinked(of)
		}
		return out
	case orCheck:
		out := make(orCheck, len(v))
		for i, of := range v {
			out[i] = unlinked(of)
		}
		return out
	}
	return c
}
