package swift

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Report is the body of an operation on many objects: what was done, and what
// failed with which status.
type Report struct {
	Root   string // element of XML: "upload", "delete"
	Values map[string]string
	Counts map[string]int
	Errors [][2]string // escaped path, reason
}

// ReportFormats are the representations of reports; the first one is the usual.
var reportFormats = []string{Plain, JSON, XML, TextXML}

// ReportFormat chooses a representation by Accept.
func ReportFormat(r *Request) string {
	best, ok := Acceptable(r.Header.Get("Accept"), reportFormats...)
	if !ok || best == "" {
		return Plain
	}
	return best
}

// Body renders a report.
func (r *Report) Body(format string) []byte {
	values := map[string]any{}
	for name, v := range r.Values {
		values[name] = v
	}
	for name, n := range r.Counts {
		values[name] = n
	}
	text := func(v any) string {
		if n, ok := v.(int); ok {
			return itoa(n)
		}
		return v.(string)
	}
	if format == JSON {
		values["Errors"] = append([][2]string{}, r.Errors...)
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(values) // texts and numbers always encode
		return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	}
	var x strings.Builder
	names := slices.Sorted(maps.Keys(values))
	if strings.HasSuffix(format, "/xml") {
		x.WriteString("<" + r.Root + ">\n")
		for _, name := range names {
			Element(&x, strings.ToLower(strings.ReplaceAll(name, " ", "_")), text(values[name]))
			x.WriteByte('\n')
		}
		x.WriteString("<errors>\n")
		for _, e := range r.Errors {
			x.WriteString("<object><name>" + escape(e[0]) + "</name><status>" + escape(e[1]) + "</status></object>\n")
		}
		x.WriteString("</errors>\n</" + r.Root + ">\n")
		return []byte(x.String())
	}
	for _, name := range names {
		x.WriteString(name + ": " + text(values[name]) + "\n")
	}
	x.WriteString("Errors:\n")
	for _, e := range r.Errors {
		x.WriteString(e[0] + ", " + e[1] + "\n")
	}
	return []byte(x.String())
}

// Reply is a reply with a report as its body.
func (r *Report) Reply(status int, format string) Reply {
	return Reply{Status: status, Body: r.Body(format), Header: http.Header{"Content-Type": {format}}}
}
