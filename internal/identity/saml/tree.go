package saml

import (
	"fmt"
	"strings"
	"time"

	"github.com/beevik/etree"
)

// is tells an element by its namespace, whatever prefix it is written with.
func is(e *etree.Element, namespace, tag string) bool {
	return e.Tag == tag && e.NamespaceURI() == namespace
}

func children(e *etree.Element, namespace, tag string) []*etree.Element {
	var found []*etree.Element
	for _, c := range e.ChildElements() {
		if is(c, namespace, tag) {
			found = append(found, c)
		}
	}
	return found
}

// optional is the child of a name, or nil. Two are refused: which of them
// counts is what attacks are made of.
func optional(e *etree.Element, namespace, tag string) (*etree.Element, error) {
	found := children(e, namespace, tag)
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		return found[0], nil
	}
	return nil, fmt.Errorf("%s has %d times %s", e.Tag, len(found), tag)
}

// one is the only child of a name.
func one(e *etree.Element, namespace, tag string) (*etree.Element, error) {
	c, err := optional(e, namespace, tag)
	if err == nil && c == nil {
		err = fmt.Errorf("%s has no %s", e.Tag, tag)
	}
	return c, err
}

// text is all the text of an element that holds nothing else.
func text(e *etree.Element) (string, error) {
	var b strings.Builder
	for _, c := range e.Child {
		switch v := c.(type) {
		case *etree.CharData:
			b.WriteString(v.Data)
		case *etree.Comment: // of metadata only
		default:
			return "", fmt.Errorf("%s is not a text", e.Tag)
		}
	}
	return b.String(), nil
}

// word is a text of which white space is no part: an address or a key.
func word(e *etree.Element) (string, error) {
	s, err := text(e)
	return strings.TrimSpace(s), err
}

// attr is an attribute without prefix, or empty. etree's own look-up takes one
// of any prefix.
func attr(e *etree.Element, name string) string {
	for _, a := range e.Attr {
		if a.Space == "" && a.Key == name {
			return a.Value
		}
	}
	return ""
}

// moment is an attribute with a time; zero when there is none.
func moment(e *etree.Element, name string) (time.Time, error) {
	value := attr(e, name)
	if value == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, value) // takes fractions, too
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04:05", value) // the standard lets the zone be left out
	}
	if err != nil {
		return t, fmt.Errorf("%s of %s: %w", name, e.Tag, err)
	}
	return t, nil
}

// walk visits an element and all below it until visit fails.
func walk(e *etree.Element, visit func(*etree.Element) error) error {
	if err := visit(e); err != nil {
		return err
	}
	for _, c := range e.ChildElements() {
		if err := walk(c, visit); err != nil {
			return err
		}
	}
	return nil
}
