package saml

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/beevik/etree"
)

var errControl = errors.New("a character that XML cannot hold")

// element makes an element; attrs are names and values in turn.
func element(name string, attrs ...string) *etree.Element {
	e := etree.NewElement(name)
	for i := 0; i+1 < len(attrs); i += 2 {
		e.CreateAttr(attrs[i], attrs[i+1])
	}
	return e
}

// add makes a child.
func add(parent *etree.Element, name string, attrs ...string) *etree.Element {
	e := element(name, attrs...)
	parent.AddChild(e)
	return e
}

// addText makes a child that is a text.
func addText(parent *etree.Element, name, value string, attrs ...string) {
	add(parent, name, attrs...).SetText(value)
}

// write is the document in ASCII, whatever it says: clients that take text/xml
// for Latin-1 (requests does, below keystoneauth) pass it on as it was signed.
func write(root *etree.Element) ([]byte, error) {
	doc := etree.NewDocument()
	doc.SetRoot(root.Copy())
	doc.WriteSettings = etree.WriteSettings{CanonicalEndTags: true, CanonicalText: true, CanonicalAttrVal: true}
	s, err := doc.WriteToString()
	if err != nil {
		return nil, fmt.Errorf("write XML: %w", err)
	}
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")
	for _, r := range s {
		if r < 0x80 {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "&#x%X;", r)
		}
	}
	return []byte(b.String()), nil
}

// sayable refuses what would be replaced by another character: two names
// would become one.
func sayable(values ...string) error {
	for _, v := range values {
		for _, r := range v {
			if r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFD || r == 0xFFFE || r == 0xFFFF {
				return errControl
			}
		}
	}
	return nil
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func instantMicros(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }
