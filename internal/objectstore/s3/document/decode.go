package document

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// Limits of what clients send, besides the size that the caller keeps.
const (
	maxDepth    = 12
	maxElements = 50000 // the largest document names 10,000 parts with some members each
	maxAttrs    = 16
)

// Errors of Decode; the caller says them in its own words.
var (
	errDirective = errors.New("directives and entities are not accepted")
	errTooDeep   = errors.New("too deep")
	errTooMany   = errors.New("too many elements")
	errRoot      = errors.New("another root element")
	errSpace     = errors.New("another namespace")
)

// Namespace of S3's documents. Clients may leave it out.
const Namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// Decode fills v from a document whose root element has this name.
func Decode(content []byte, root string, v any) error {
	if err := inspect(content, root); err != nil {
		return err
	}
	return xml.Unmarshal(content, v)
}

// inspect refuses what could cost more than it is long.
func inspect(content []byte, root string) error {
	d := xml.NewDecoder(bytes.NewReader(content))
	depth, elements := 0, 0
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			if elements == 0 || depth != 0 {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.Directive:
			return errDirective
		case xml.StartElement:
			if elements == 0 {
				if err := rootIs(t, root); err != nil {
					return err
				}
			}
			depth++
			elements++
			switch {
			case depth > maxDepth:
				return errTooDeep
			case elements > maxElements || len(t.Attr) > maxAttrs:
				return errTooMany
			}
		case xml.EndElement:
			depth--
		}
	}
}

func rootIs(t xml.StartElement, root string) error {
	if t.Name.Local != root {
		return errRoot
	}
	for _, a := range t.Attr {
		if a.Name.Space == "" && a.Name.Local == "xmlns" && !strings.HasPrefix(a.Value, "http://s3.amazonaws.com/doc/") {
			return errSpace
		}
	}
	return nil
}

// Encode writes a document.
func Encode(v any) ([]byte, error) {
	body, err := xml.Marshal(v)
	if err != nil {
		return nil, err
	}
	return append([]byte(xml.Header), body...), nil
}
