package saml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/beevik/etree"
	validator "github.com/mattermost/xml-roundtrip-validator"
)

const (
	// MaxDocument is the size of the largest document that is read, in bytes.
	MaxDocument = 256 << 10

	maxDepth    = 64
	maxElements = 8192
	maxScope    = 64 // namespaces declared around one element: they are copied at each
)

var (
	errSize     = fmt.Errorf("document of more than %d bytes", MaxDocument)
	errDeep     = errors.New("elements are nested too deep")
	errMany     = errors.New("too many elements")
	errSpaces   = errors.New("too many namespaces")
	errPrefix   = errors.New("a namespace declaration that means nothing")
	errTwice    = errors.New("an attribute occurs twice")
	errDTD      = errors.New("document type declarations are refused")
	errComment  = errors.New("comments are refused")
	errPI       = errors.New("processing instructions are refused")
	errOneRoot  = errors.New("a document is one element")
	errEncoding = errors.New("documents are in UTF-8")
)

// read parses a document whole, or not at all. What a program that checks
// signatures and one that reads texts could see differently is refused;
// comments are too, where a stranger sends the document.
func read(document []byte, comments bool) (*etree.Element, error) {
	if len(document) > MaxDocument {
		return nil, errSize
	}
	s := shape{comments: comments}
	if err := s.check(document); err != nil {
		return nil, fmt.Errorf("read XML: %w", err)
	}
	if err := validator.Validate(bytes.NewReader(document)); err != nil {
		return nil, fmt.Errorf("read XML: %w", err)
	}
	doc := etree.NewDocument()
	doc.ReadSettings = etree.ReadSettings{CharsetReader: onlyUTF8, PreserveDuplicateAttrs: true, MaxDepth: maxDepth}
	if err := doc.ReadFromBytes(document); err != nil {
		return nil, fmt.Errorf("read XML: %w", err)
	}
	if doc.Root() == nil {
		return nil, errOneRoot
	}
	return doc.Root(), nil
}

func onlyUTF8(string, io.Reader) (io.Reader, error) { return nil, errEncoding }

// shape checks the form of a document token by token.
type shape struct {
	comments bool
	elements int
	scopes   []int // namespaces in scope, of each open element
}

func (s *shape) check(document []byte) error {
	d := xml.NewDecoder(bytes.NewReader(document))
	d.CharsetReader = onlyUTF8
	for {
		at := d.InputOffset()
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = s.token(t, at)
		}
		if err != nil {
			return err
		}
	}
}

func (s *shape) token(t xml.Token, at int64) error {
	switch v := t.(type) {
	case xml.StartElement:
		return s.open(v)
	case xml.EndElement:
		s.scopes = s.scopes[:len(s.scopes)-1]
	case xml.CharData:
		if len(s.scopes) == 0 && strings.TrimSpace(string(v)) != "" {
			return errOneRoot
		}
	case xml.Directive:
		return errDTD
	case xml.Comment:
		if !s.comments {
			return errComment
		}
	case xml.ProcInst:
		if v.Target != "xml" || at != 0 {
			return errPI
		}
	}
	return nil
}

func (s *shape) open(e xml.StartElement) error {
	s.elements++
	scope := 0
	if n := len(s.scopes); n > 0 {
		scope = s.scopes[n-1]
	} else if s.elements > 1 {
		return errOneRoot
	}
	seen := map[xml.Name]bool{}
	for _, a := range e.Attr {
		if seen[a.Name] {
			return errTwice
		}
		seen[a.Name] = true
		prefixed := a.Name.Space == "xmlns"
		if prefixed && (a.Value == "" || a.Name.Local == "xml" || a.Name.Local == "xmlns") {
			return errPrefix
		}
		if prefixed || a.Name.Space == "" && a.Name.Local == "xmlns" {
			scope++
		}
	}
	s.scopes = append(s.scopes, scope)
	switch {
	case len(s.scopes) > maxDepth:
		return errDeep
	case s.elements > maxElements:
		return errMany
	case scope > maxScope:
		return errSpaces
	}
	return nil
}
