package mapping

import (
	"regexp"
	"regexp/syntax"
	"slices"
)

// pattern compiles an expression that is searched for anywhere in a value.
func (r *reader) pattern(text, path string) *regexp.Regexp {
	if r.err != nil {
		return nil
	}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		r.fail(path, "'%.64s' is not a regular expression this cloud knows (RE2 syntax: no looking around, no references back): %v", text, err)
		return nil
	}
	size := cost(tree)
	if r.patterns += size; len(text) > maxPattern || size > maxPattern || r.patterns > maxPatterns {
		r.fail(path, "the regular expression '%.64s', or all of the mapping together, are too large", text)
		return nil
	}
	compiled, err := regexp.Compile(text)
	if err != nil {
		r.fail(path, "'%.64s' is not a regular expression this cloud knows: %v", text, err)
	}
	return compiled
}

// cost is about how many instructions an expression compiles to. It is asked
// before compiling, which would take the memory first.
func cost(tree *syntax.Regexp) int {
	n := 1 + len(tree.Rune)
	for _, sub := range tree.Sub {
		n = min(n+cost(sub), 1<<20)
	}
	if tree.Op == syntax.OpRepeat {
		n *= max(tree.Min, tree.Max, 1)
	}
	return min(n, 1<<20)
}

// Ways to look at the values of a claim. With the first and the last two its
// values, all or some, can be referred to by the rule's local part.
const (
	present   = ""
	anyOneOf  = "any_one_of"
	notAnyOf  = "not_any_of"
	blacklist = "blacklist"
	whitelist = "whitelist"
)

// requirement is one line of a rule's remote part.
type requirement struct {
	claim    string
	kind     string
	values   map[string]bool
	patterns []*regexp.Regexp // in place of values

	patternCost int // their instructions
}

// work is about how much it takes to look at values: a unit is an instruction
// of an expression at a byte, some ten nanoseconds.
func (q *requirement) work(values []string) int {
	n := 64 * len(values)
	for _, v := range values {
		n += len(v) * q.patternCost
	}
	return n
}

// direct tells whether the local part can refer to it.
func (q *requirement) direct() bool { return q.kind != anyOneOf && q.kind != notAnyOf }

func (q *requirement) listed(value string) bool {
	return q.values[value] || slices.ContainsFunc(q.patterns, func(p *regexp.Regexp) bool { return p.MatchString(value) })
}

// met tells whether values of the claim meet the requirement, and which remain.
func (q *requirement) met(values []string) (remain []string, ok bool) {
	switch {
	case len(values) == 0:
		return nil, false
	case q.kind == present:
		return values, true
	case !q.direct():
		return nil, slices.ContainsFunc(values, q.listed) == (q.kind == anyOneOf)
	}
	seen := map[string]bool{}
	for _, v := range values {
		if !seen[v] && q.listed(v) == (q.kind == whitelist) {
			remain = append(remain, v)
		}
		seen[v] = true
	}
	return remain, true
}
