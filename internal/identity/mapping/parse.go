package mapping

import (
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/mekcloud/mek/internal/fault"
)

// Bounds. Rules are an administrator's, so they bound mistakes; claims are whoever's.
const (
	MaxBytes    = 64 << 10 // of a mapping's rules, as upstream's column holds
	maxRules    = 256
	maxItems    = 256 // in a rule's remote or local part; projects; roles
	maxValues   = 1024
	maxPattern  = 4 << 10   // bytes of an expression, and about its instructions
	maxPatterns = 16 << 10  // instructions of all expressions
	maxText     = 4 << 10   // bytes of one text that rules make
	maxClaims   = 128 << 10 // bytes of all claims
	maxClaimed  = 8192      // values of all claims
	maxWork     = 64 << 20  // what one Apply may cost, as requirement.work counts
)

// The versions of what a mapping may say.
const (
	V1 = "1.0"
	V2 = "2.0" // projects have domains, and "domain" is the default for all of a rule's local part
	V3 = "3.0" // projects_json, and roles that are not named are taken away
)

// Rules are the rules of a mapping, compiled. Safe for concurrent use.
type Rules struct {
	version string
	rules   []rule
}

type rule struct {
	remote []requirement
	local  []local
}

// local is one object of a rule's local part.
type local struct {
	user         *userRule
	groupID      template // given: or else group
	group        *groupRule
	groups       list
	groupIDs     list
	domain       domainRule
	projects     []projectRule
	projectsJSON template // a single reference
	hasProjects  bool
}

type userRule struct {
	id, name, email template
	kind            string
	domain          domainRule
}

type groupRule struct {
	name   template
	domain domainRule
}

type projectRule struct {
	name   template
	domain domainRule
	roles  []template
}

type domainRule struct{ id, name template }

func (d domainRule) given() bool { return d.id.given() || d.name.given() }

// Parse checks and compiles rules, the JSON array of a mapping. An empty
// version is 1.0. Invalid: a text that says where what is wrong.
func Parse(rules json.RawMessage, version string) (*Rules, error) {
	if version == "" {
		version = V1
	}
	if !slices.Contains([]string{V1, V2, V3}, version) {
		return nil, fault.Invalidf("Invalid mapping: schema_version '%.16s' is not one of 1.0, 2.0, 3.0", version)
	}
	if len(rules) > MaxBytes {
		return nil, fault.Invalidf("Invalid mapping: rules are longer than %d bytes", MaxBytes)
	}
	if !utf8.Valid(rules) {
		return nil, fault.Invalidf("Invalid mapping: rules are not UTF-8")
	}
	r := &reader{}
	items := r.array(rules, "rules", maxRules)
	if r.err == nil && len(items) == 0 {
		r.fail("rules", "is too short: a mapping has at least one rule")
	}
	out := &Rules{version: version}
	for i, item := range items {
		out.rules = append(out.rules, r.rule(item, fmt.Sprintf("rules[%d]", i), version))
	}
	if r.err != nil {
		return nil, r.err
	}
	return out, nil
}

func (r *reader) rule(raw json.RawMessage, path, version string) (out rule) {
	m := r.object(raw, path, "local!", "remote!")
	if m == nil {
		return out
	}
	remote := r.array(m["remote"], path+".remote", maxItems)
	if r.err == nil && len(remote) == 0 {
		r.fail(path+".remote", "is too short: a rule has at least one remote requirement")
	}
	refs := 0
	for i, item := range remote {
		q := r.requirement(item, fmt.Sprintf("%s.remote[%d]", path, i))
		if q.direct() {
			refs++
		}
		out.remote = append(out.remote, q)
	}
	for i, item := range r.array(m["local"], path+".local", maxItems) {
		out.local = append(out.local, r.local(item, fmt.Sprintf("%s.local[%d]", path, i), version, refs))
	}
	return out
}

func (r *reader) requirement(raw json.RawMessage, path string) (out requirement) {
	m := r.object(raw, path, "type!", anyOneOf, notAnyOf, blacklist, whitelist, "regex")
	if m == nil {
		return out
	}
	out.claim = r.text(m["type"], path+".type")
	for _, kind := range []string{anyOneOf, notAnyOf, blacklist, whitelist} {
		if m[kind] == nil {
			continue
		}
		if out.kind != present {
			r.fail(path, "'%s' and '%s' exclude each other", out.kind, kind)
		}
		out.kind = kind
	}
	regex := m["regex"] != nil && r.flag(m["regex"], path+".regex")
	if out.kind == present {
		if m["regex"] != nil {
			r.fail(path, "'regex' is for values of 'any_one_of', 'not_any_of', 'blacklist' or 'whitelist'")
		}
		return out
	}
	path += "." + out.kind
	out.values = map[string]bool{}
	before := r.patterns
	for i, text := range r.texts(m[out.kind], path) {
		if regex {
			out.patterns = append(out.patterns, r.pattern(text, fmt.Sprintf("%s[%d]", path, i)))
			continue
		}
		out.values[text] = true
	}
	out.patternCost = r.patterns - before
	return out
}
