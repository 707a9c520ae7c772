package policy

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// pattern is the right side of a check: text with %(key)s places.
type pattern struct {
	source string
	parts  []part
}

type part struct {
	text string   // when key is empty
	key  string   // of the target
	path []string // key split at its dots, for nested targets
	twin string   // tenant_id for project_id and back
}

// parsePattern reads Python's %-formatting as far as policies use it.
func parsePattern(source string) (pattern, error) {
	p := pattern{source: source}
	rest := source
	for {
		i := strings.IndexByte(rest, '%')
		if i < 0 {
			break
		}
		p.literal(rest[:i])
		rest = rest[i+1:]
		if strings.HasPrefix(rest, "%") {
			p.literal("%")
			rest = rest[1:]
			continue
		}
		end := strings.Index(rest, ")s")
		if !strings.HasPrefix(rest, "(") || end < 2 {
			return p, fmt.Errorf("%q: a %% must begin %%(name)s or %%%%", source)
		}
		key := rest[1:end]
		p.parts = append(p.parts, part{key: key, path: strings.Split(key, "."), twin: twinKey(key)})
		rest = rest[end+2:]
	}
	p.literal(rest)
	return p, nil
}

func (p *pattern) literal(text string) {
	if text != "" {
		p.parts = append(p.parts, part{text: text})
	}
}

// constant tells whether the pattern takes nothing from the target.
func (p pattern) constant() bool {
	for _, part := range p.parts {
		if part.key != "" {
			return false
		}
	}
	return true
}

// fill puts the target's values in; false when the target lacks one.
func (p pattern) fill(t Target) (string, bool) {
	if len(p.parts) == 1 { // the common case needs no buffer
		return p.parts[0].fill(t)
	}
	var b strings.Builder
	for _, part := range p.parts {
		text, ok := part.fill(t)
		if !ok {
			return "", false
		}
		b.WriteString(text)
	}
	return b.String(), true
}

func (p part) fill(t Target) (string, bool) {
	if p.key == "" {
		return p.text, true
	}
	value, ok := t[p.key]
	if !ok && len(p.path) > 1 {
		value, ok = walkMap(map[string]any(t), p.path)
	}
	if !ok && p.twin != "" {
		value, ok = t[p.twin]
	}
	if !ok {
		return "", false
	}
	return text(value)
}

// twinKey is the other spelling of an owner: OpenStack's projects were tenants.
func twinKey(key string) string {
	switch {
	case strings.HasSuffix(key, "project_id"):
		return strings.TrimSuffix(key, "project_id") + "tenant_id"
	case strings.HasSuffix(key, "tenant_id"):
		return strings.TrimSuffix(key, "tenant_id") + "project_id"
	}
	return ""
}

func walkMap(m map[string]any, path []string) (any, bool) {
	for i, key := range path {
		value, ok := m[key]
		if !ok {
			return nil, false
		}
		if i == len(path)-1 {
			return value, true
		}
		switch next := value.(type) {
		case map[string]any:
			m = next
		case Target:
			m = next
		case map[string]string:
			text, ok := next[strings.Join(path[i+1:], ".")]
			return text, ok
		default:
			return nil, false
		}
	}
	return nil, false
}

// text spells a value as Python's str does; false for what has no plain spelling.
func text(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case nil:
		return "None", true
	case bool:
		if v {
			return "True", true
		}
		return "False", true
	case int:
		return strconv.Itoa(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return floatText(v), true
	case *string:
		if v == nil {
			return "None", true
		}
		return *v, true
	case fmt.Stringer:
		return v.String(), true
	}
	return "", false
}

func floatText(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return strconv.FormatFloat(v, 'f', -1, 64) + ".0"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// literal reads the left side of a check as a Python literal and gives its text.
func literal(kind string) (string, bool) {
	switch kind {
	case "None", "True", "False":
		return kind, true
	}
	if n := len(kind); n >= 2 && (kind[0] == '\'' || kind[0] == '"') && kind[n-1] == kind[0] {
		return kind[1 : n-1], true
	}
	if n, err := strconv.ParseInt(kind, 10, 64); err == nil {
		return strconv.FormatInt(n, 10), true
	}
	if c := kind[:min(1, len(kind))]; strings.ContainsAny(c, "0123456789.-+") {
		if f, err := strconv.ParseFloat(kind, 64); err == nil {
			return floatText(f), true
		}
	}
	return "", false
}
