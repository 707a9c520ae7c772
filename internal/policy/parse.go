package policy

import (
	"fmt"
	"strings"
)

// maxDepth bounds nesting, so that no text can exhaust the stack.
const maxDepth = 200

// parse reads a check of the text form. The grammar, loosest first: or, and,
// not, parentheses; words in any case; checks are separated by white space and
// parentheses stick to the outer ends of a check only.
func parse(text string) (check, error) {
	p := &parser{tokens: tokenize(text)}
	if strings.TrimSpace(text) == "" {
		return always(true), nil
	}
	c, err := p.or(0)
	if err == nil && p.pos < len(p.tokens) {
		err = fmt.Errorf("unexpected %q", p.tokens[p.pos].text)
	}
	if err != nil {
		return nil, fmt.Errorf("policy check %q: %w", text, err)
	}
	return c, nil
}

// parseLists reads the old form: the outer list is or-ed, inner lists are and-ed.
func parseLists(outer []any) (check, error) {
	if len(outer) == 0 {
		return always(true), nil
	}
	var either orCheck
	for _, item := range outer {
		inner, ok := item.([]any)
		if !ok {
			inner = []any{item}
		}
		var all andCheck
		for _, word := range inner {
			text, ok := word.(string)
			if !ok {
				return nil, fmt.Errorf("policy check: %v is not a text", word)
			}
			c, err := parseCheck(strings.TrimSpace(text))
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		}
		if len(all) > 0 {
			either = append(either, simplify(all))
		}
	}
	if len(either) == 0 {
		return always(false), nil
	}
	if len(either) == 1 {
		return either[0], nil
	}
	return either, nil
}

type kind uint8

const (
	leaf kind = iota
	open
	closing
	and
	or
	not
)

type token struct {
	kind kind
	text string
}

func tokenize(text string) []token {
	var out []token
	for _, word := range strings.Fields(text) {
		clean := strings.TrimLeft(word, "(")
		for range len(word) - len(clean) {
			out = append(out, token{open, "("})
		}
		word, clean = clean, strings.TrimRight(clean, ")")
		if clean != "" {
			out = append(out, token{wordKind(clean), clean})
		}
		for range len(word) - len(clean) {
			out = append(out, token{closing, ")"})
		}
	}
	return out
}

func wordKind(word string) kind {
	switch strings.ToLower(word) {
	case "and":
		return and
	case "or":
		return or
	case "not":
		return not
	}
	return leaf
}

type parser struct {
	tokens []token
	pos    int
}

// take consumes the next token if it is of this kind.
func (p *parser) take(k kind) bool {
	if p.pos < len(p.tokens) && p.tokens[p.pos].kind == k {
		p.pos++
		return true
	}
	return false
}

func (p *parser) or(depth int) (check, error) {
	var list orCheck
	for {
		c, err := p.and(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
		if !p.take(or) {
			break
		}
	}
	if len(list) == 1 {
		return list[0], nil
	}
	return list, nil
}

func (p *parser) and(depth int) (check, error) {
	var list andCheck
	for {
		c, err := p.not(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
		if !p.take(and) {
			return simplify(list), nil
		}
	}
}

func (p *parser) not(depth int) (check, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	if p.take(not) {
		c, err := p.not(depth + 1)
		if err != nil {
			return nil, err
		}
		return notCheck{c}, nil
	}
	if p.take(open) {
		c, err := p.or(depth + 1)
		if err != nil {
			return nil, err
		}
		if !p.take(closing) {
			return nil, fmt.Errorf("a parenthesis is not closed")
		}
		return c, nil
	}
	if !p.take(leaf) {
		return nil, fmt.Errorf("a check is missing")
	}
	return parseCheck(p.tokens[p.pos-1].text)
}

// parseCheck reads one KIND:MATCH, "@" or "!".
func parseCheck(text string) (check, error) {
	if text == "@" || text == "!" {
		return always(text == "@"), nil
	}
	kind, match, ok := strings.Cut(text, ":")
	if !ok {
		return nil, fmt.Errorf("%q is not of the form KIND:MATCH", text)
	}
	switch kind {
	case "rule":
		return &ruleCheck{name: match}, nil
	case "field":
		return parseField(match)
	case "http", "https":
		return parseRemote(text)
	}
	pattern, err := parsePattern(match)
	if err != nil {
		return nil, err
	}
	if kind == "role" {
		return roleCheck{pattern}, nil
	}
	if value, ok := literal(kind); ok {
		return literalCheck{source: kind, value: value, match: pattern}, nil
	}
	return newAttributeCheck(kind, pattern), nil
}

func simplify(list andCheck) check {
	if len(list) == 1 {
		return list[0]
	}
	return list
}
