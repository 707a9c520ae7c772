package swift

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"strings"

	"github.com/mekcloud/mek/internal/objectstore"
)

// List is a listing on its way to text, JSON or XML.
type List struct {
	Root string // element of XML: "account", "container"
	Name string
	rows []row
}

type row struct {
	name   string
	subdir bool
	named  bool // XML has the name of a Subdir twice
	value  any
	fields func(x *strings.Builder)
}

// Subdir adds a prefix that stands for several names.
func (l *List) Subdir(name string, named bool) {
	l.rows = append(l.rows, row{name: name, subdir: true, named: named, value: map[string]string{"subdir": name}})
}

// Add adds an entry: value is its JSON, fields writes its elements of XML.
func (l *List) Add(name string, value any, fields func(x *strings.Builder)) {
	l.rows = append(l.rows, row{name: name, value: value, fields: fields})
}

// Reply renders the listing. element is an entry's name in XML, tail what
// follows each of them.
func (l *List) Reply(format, element, tail string, header http.Header) (Reply, error) {
	var body []byte
	switch format {
	case JSON:
		content, err := l.json()
		if err != nil {
			return Reply{}, err
		}
		body = content
	case XML, TextXML:
		body = []byte(l.xml(element, tail))
	default:
		var b bytes.Buffer
		for _, r := range l.rows {
			b.WriteString(r.name)
			b.WriteByte('\n')
		}
		body = b.Bytes()
	}
	header.Set("Content-Type", format+"; charset=utf-8")
	if len(body) == 0 {
		return Reply{Status: http.StatusNoContent, Header: header}, nil
	}
	return Reply{Status: http.StatusOK, Body: body, Header: header}, nil
}

func (l *List) json() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	b.WriteByte('[')
	for i, r := range l.rows {
		if i > 0 {
			b.WriteString(", ")
		}
		if err := enc.Encode(r.value); err != nil {
			return nil, err
		}
		b.Truncate(b.Len() - 1) // the encoder's line feed
	}
	b.WriteByte(']')
	return b.Bytes(), nil
}

func (l *List) xml(element, tail string) string {
	var x strings.Builder
	x.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<" + l.Root + ` name="` + escape(l.Name) + `">`)
	x.WriteString(tail)
	for _, r := range l.rows {
		switch {
		case r.subdir && r.named:
			x.WriteString(`<subdir name="` + escape(r.name) + `">`)
			Element(&x, "name", r.name)
			x.WriteString("</subdir>")
		case r.subdir:
			x.WriteString(`<subdir name="` + escape(r.name) + `" />`)
		default:
			x.WriteString("<" + element + ">")
			r.fields(&x)
			x.WriteString("</" + element + ">")
		}
		x.WriteString(tail)
	}
	x.WriteString("</" + l.Root + ">")
	return x.String()
}

// Element writes an element of XML with text in it.
func Element(x *strings.Builder, name, text string) {
	x.WriteString("<" + name + ">" + escape(text) + "</" + name + ">")
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a builder takes everything
	return b.String()
}

// NoteDomain remembers the domain of an account's project when somebody writes
// who is of that project: names in access lists count in the default domain only.
func NoteDomain(r *Request, a *objectstore.Account) {
	c := r.Caller()
	if a.Headers == nil {
		a.Headers = objectstore.Headers{}
	}
	noted, known := a.Headers[objectstore.HeaderProjectDomain]
	_, project, _ := strings.Cut(r.Account, "_")
	switch {
	case project != "" && project == c.ProjectID:
		if c.ProjectDomainID != "" && (!known || noted == unknownDomain) {
			a.Headers[objectstore.HeaderProjectDomain] = c.ProjectDomainID
		}
	case !known && a.CreatedAt.IsZero():
		a.Headers[objectstore.HeaderProjectDomain] = unknownDomain
	}
}

const unknownDomain = "_unknown"
