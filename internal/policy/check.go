package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// question is one call of Allow on its way through the tree.
type question struct {
	creds  *Credentials
	target Target
	rules  *ruleSet
	http   RemoteCheck
}

// check is a node of a compiled rule. String gives a text that parses to the same.
type check interface {
	allows(q *question) bool
	fmt.Stringer
}

type (
	always    bool
	andCheck  []check
	orCheck   []check
	notCheck  struct{ of check }
	roleCheck struct{ match pattern }
	ruleCheck struct {
		name string
		rule *compiled // nil: there is no such rule
	}
	literalCheck struct {
		source, value string
		match         pattern
	}
)

func (c always) allows(*question) bool { return bool(c) }

func (c always) String() string {
	if c {
		return "@"
	}
	return "!"
}

func (c andCheck) allows(q *question) bool {
	for _, of := range c {
		if !of.allows(q) {
			return false
		}
	}
	return true
}

func (c andCheck) String() string { return joined(c, " and ") }

func (c orCheck) allows(q *question) bool {
	for _, of := range c {
		if of.allows(q) {
			return true
		}
	}
	return false
}

func (c orCheck) String() string { return joined(c, " or ") }

func joined(list []check, word string) string {
	words := make([]string, len(list))
	for i, c := range list {
		words[i] = c.String()
	}
	return "(" + strings.Join(words, word) + ")"
}

func (c notCheck) allows(q *question) bool { return !c.of.allows(q) }
func (c notCheck) String() string          { return "not " + c.of.String() }

func (c roleCheck) allows(q *question) bool {
	name, ok := c.match.fill(q.target)
	return ok && q.creds.HasRole(name)
}

func (c roleCheck) String() string { return "role:" + c.match.source }

func (c *ruleCheck) allows(q *question) bool { return c.rule != nil && c.rule.check.allows(q) }
func (c *ruleCheck) String() string          { return "rule:" + c.name }

func (c literalCheck) allows(q *question) bool {
	value, ok := c.match.fill(q.target)
	// Whoever builds targets may say "has none" by nil or by an empty text.
	return ok && (value == c.value || c.source == "None" && value == "")
}

func (c literalCheck) String() string { return c.source + ":" + c.match.source }

// fieldCheck is Neutron's: a field of the target has a value, or matches an expression.
type fieldCheck struct {
	source, field, value string
	expression           *regexp.Regexp
}

func parseField(match string) (check, error) {
	_, rest, ok := strings.Cut(match, ":")
	field, value, ok2 := strings.Cut(rest, "=")
	if !ok || !ok2 || field == "" {
		return nil, fmt.Errorf("field:%s is not of the form field:RESOURCE:FIELD=VALUE", match)
	}
	c := fieldCheck{source: match, field: field, value: value}
	if expression, ok := strings.CutPrefix(value, "~"); ok {
		compiled, err := regexp.Compile("^(?:" + expression + ")") // Python's match begins at the start
		if err != nil {
			return nil, fmt.Errorf("field:%s: %w", match, err)
		}
		c.expression = compiled
	}
	return c, nil
}

func (c fieldCheck) allows(q *question) bool {
	value, ok := q.target[c.field]
	if !ok {
		return false
	}
	got, ok := text(value)
	if !ok {
		return false
	}
	if c.expression != nil {
		return c.expression.MatchString(got)
	}
	if b, ok := value.(bool); ok {
		return strings.EqualFold(got, c.value) || c.value == "1" && b || c.value == "0" && !b
	}
	return got == c.value
}

func (c fieldCheck) String() string { return "field:" + c.source }

// remoteCheck asks a server of the operator.
type remoteCheck struct{ url pattern }

func parseRemote(url string) (check, error) {
	p, err := parsePattern(url)
	return remoteCheck{p}, err
}

func (c remoteCheck) allows(q *question) bool {
	url, ok := c.url.fill(q.target)
	return ok && q.http != nil && q.http(url, q.creds, q.target)
}

func (c remoteCheck) String() string { return c.url.source }

// attributeCheck compares something of the caller's with the pattern.
type attributeCheck struct {
	kind  string
	path  []string // walked through Credentials.Extra when get is nil
	get   func(*Credentials) string
	list  func(*Credentials) []string
	match pattern
}

func (c attributeCheck) String() string { return c.kind + ":" + c.match.source }

func (c attributeCheck) allows(q *question) bool {
	want, ok := c.match.fill(q.target)
	switch {
	case !ok:
		return false
	case c.list != nil:
		return slices.Contains(c.list(q.creds), want)
	case c.get != nil:
		have := c.get(q.creds)
		return have == want && have != "" || have == "" && want == "None" && c.match.constant()
	case c.kind == "is_admin":
		have, _ := text(q.isAdmin())
		return have == want
	}
	return extraHas(q.creds.Extra, c.path, want)
}

// isAdmin is the caller's is_admin: said by Extra, else by the rule context_is_admin.
func (q *question) isAdmin() any {
	if value, ok := q.creds.Extra["is_admin"]; ok {
		return value
	}
	rule := q.rules.rules[adminRule]
	return rule != nil && rule.check.allows(q)
}

// adminRule decides what is_admin is worth.
const adminRule = "context_is_admin"

// extraHas walks nested attributes; of a list any element may match.
func extraHas(value any, path []string, want string) bool {
	switch v := value.(type) {
	case map[string]any:
		if len(path) == 0 {
			return false
		}
		next, ok := v[path[0]]
		return ok && extraHas(next, path[1:], want)
	case map[string]string:
		next, ok := v[strings.Join(path, ".")]
		return ok && next == want
	case []any:
		return slices.ContainsFunc(v, func(item any) bool { return extraHas(item, path, want) })
	case []string:
		return len(path) == 0 && slices.Contains(v, want)
	}
	have, ok := text(value)
	return ok && len(path) == 0 && have == want
}
