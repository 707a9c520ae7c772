package federation

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"

	"github.com/mekcloud/mek/internal/rest"
)

type link struct{ Name, URL string }

// sent is a form that a page sends by itself.
type sent struct {
	To     string
	Fields url.Values
}

// submit is the one script that pages have; their policy names its digest.
const submit = "document.forms[0].submit()"

var (
	choice = template.Must(template.New("choice").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"/><title>Log in</title></head><body><h1>Log in with</h1><ul>
{{range .}}<li><a href="{{.URL}}">{{.Name}}</a></li>
{{end}}</ul></body></html>
`))
	forward = template.Must(template.New("forward").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"/><title>Logging in</title></head><body>
<form method="post" action="{{.To}}">{{range $name, $values := .Fields}}{{range $values}}<input type="hidden" name="{{$name}}" value="{{.}}"/>{{end}}{{end}}
<noscript><p>Go on to {{.To}}</p><input type="submit" value="Continue"/></noscript></form>
<script>` + submit + `</script></body></html>
`))
)

// page answers with a page that may do nothing but what it is for. It holds
// tokens: nobody keeps it, and nobody puts it into a frame.
func page(t *template.Template, data any) (rest.Reply, error) {
	var out bytes.Buffer
	if err := t.Execute(&out, data); err != nil {
		return rest.Reply{}, err
	}
	digest := sha256.Sum256([]byte(submit))
	reply := rest.Reply{Status: http.StatusOK, Body: out.Bytes()}
	for name, value := range map[string]string{
		"Content-Type":            "text/html; charset=utf-8",
		"Cache-Control":           "no-store",
		"Referrer-Policy":         "no-referrer",
		"X-Frame-Options":         "DENY",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; script-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'",
	} {
		reply = reply.With(name, value)
	}
	return reply, nil
}
