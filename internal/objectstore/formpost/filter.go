package formpost

import (
	"errors"
	"html"
	"io"
	"mime/multipart"
	"net/http"
	"strings"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/swift"
	"github.com/mekcloud/mek/internal/objectstore/tempurl"
)

// Feature takes forms.
type Feature struct {
	store objectstore.Store
	clock clock.Clock
}

// New makes the feature.
func New(s objectstore.Store, c clock.Clock) *Feature { return &Feature{s, c} }

// Info is the section of /info.
func Info() map[string]map[string]any {
	return map[string]map[string]any{"formpost": {"allowed_digests": tempurl.Digests()}}
}

// Filter turns each file of a form into a PUT.
func (f *Feature) Filter(next swift.Handler) swift.Handler {
	return func(r *swift.Request) (swift.Reply, error) {
		if r.Method != http.MethodPost {
			return next(r)
		}
		boundary, ok := isForm(r.Header.Get("Content-Type"))
		if !ok {
			return next(r)
		}
		u := &upload{Feature: f, request: r, next: next, form: newForm(r.Body, boundary)}
		return u.run()
	}
}

// upload is one form on its way.
type upload struct {
	*Feature
	request *swift.Request
	next    swift.Handler
	form    *form
	share   http.Header // what CORS has said of the last file
}

func (u *upload) run() (swift.Reply, error) {
	status, message := 0, ""
	for files := int64(1); ; files++ {
		part, err := u.form.file()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return swift.Reply{}, bad(err.Error())
		}
		if err := u.check(); err != nil {
			return swift.Reply{}, err
		}
		most, ok := u.form.number("max_file_count")
		if !ok {
			return swift.Reply{}, bad("max_file_count not an integer")
		}
		if files > most {
			status, message = http.StatusBadRequest, "max file count exceeded"
			break
		}
		if status, err = u.put(part); err != nil {
			return swift.Reply{}, err
		}
		if status < 200 || status > 299 {
			break
		}
	}
	if status == 0 {
		status, message = http.StatusBadRequest, "no files to process"
	}
	return u.answer(status, message), nil
}

func bad(text string) error { return swift.FailPlain(http.StatusBadRequest, "FormPost: "+text) }

func refused(text string) error {
	return swift.FailText(http.StatusUnauthorized, "FormPost: "+text)
}

// path is the address that the form was sent to.
func (u *upload) path() string {
	path := "/v1/" + u.request.Account + "/" + u.request.Container
	if u.request.Object != "" {
		path += "/" + u.request.Object
	} else if strings.HasSuffix(u.request.Call.Request.URL.Path, "/") {
		path += "/"
	}
	return path
}

// check looks at the signature, once.
func (u *upload) check() error {
	if u.form.signed {
		return nil
	}
	if u.request.Container == "" {
		return refused("Invalid Signature")
	}
	if _, ok := u.form.number("max_file_size"); !ok {
		return bad("max_file_size not an integer")
	}
	until, ok := u.form.number("expires")
	if !ok {
		return bad("expired not an integer")
	}
	if until < u.clock.Now().Unix() {
		return refused("Form Expired")
	}
	keys, err := tempurl.Keys(u.request, u.store)
	if err != nil {
		return err
	}
	signature, ok := tempurl.ParseSignature(u.form.fields["signature"])
	for _, k := range keys {
		if ok && signature.Signs(k.Secret, u.form.signedText(u.path())) {
			u.form.signed = true
			return nil
		}
	}
	return refused("Invalid Signature")
}

// put stores one file.
func (u *upload) put(part *multipart.Part) (int, error) {
	to := u.request.Target
	to.Object += fileName(part)
	sub := u.request.Sub(http.MethodPut, to)
	sub.Vouched = func(t swift.Target, method string) bool { return t == to && method == http.MethodPut }
	for field, header := range map[string]string{"x_delete_at": "X-Delete-At", "x_delete_after": "X-Delete-After"} {
		if u.form.fields[field] == "" {
			continue
		}
		if _, ok := u.form.number(field); !ok {
			return 0, bad(field + " not an integer: " + map[string]string{"x_delete_at": "Unix timestamp", "x_delete_after": "Number of seconds"}[field] + " required.")
		}
		sub.Header.Set(header, strings.TrimSpace(u.form.fields[field]))
	}
	kind := u.form.text("content-type", part.Header.Get("Content-Type"))
	if kind != "" {
		sub.Header.Set("Content-Type", kind)
	}
	if encoding := u.form.text("content-encoding", part.Header.Get("Content-Encoding")); encoding != "" {
		sub.Header.Set("Content-Encoding", encoding)
	}
	most, _ := u.form.number("max_file_size") // was checked with the signature
	body := &capped{r: part, left: most}
	sub.Body, sub.Length = body, -1
	reply, err := u.next(sub)
	if body.exceeded {
		swift.Discard(reply)
		return 0, bad(errExceeded.Error())
	}
	if err != nil {
		return 0, err
	}
	u.share = http.Header{}
	for name, values := range reply.Header {
		if strings.HasPrefix(name, "Access-Control-") {
			u.share[name] = values
		}
	}
	swift.Discard(reply)
	return reply.Status, nil
}

// answer tells the browser, or sends it on.
func (u *upload) answer(status int, message string) swift.Reply {
	header := u.share.Clone()
	if header == nil {
		header = http.Header{}
	}
	line := swift.StatusLine(status)
	redirect := u.form.fields["redirect"]
	if redirect == "" || !u.form.signed {
		if message != "" {
			line += "\r\nFormPost: " + title(message)
		}
		header.Set("Content-Type", "text/plain")
		return swift.Reply{Status: status, Header: header, Body: []byte(line)}
	}
	separator := "?"
	if strings.Contains(redirect, "?") {
		separator = "&"
	}
	code, _, _ := strings.Cut(line, " ")
	redirect += separator + "status=" + code + "&message=" + swift.Quote(message)
	redirect = strings.NewReplacer("\r", "", "\n", "").Replace(redirect)
	header.Set("Location", redirect)
	header.Set("Content-Type", "text/html; charset=UTF-8")
	return swift.Reply{Status: http.StatusSeeOther, Header: header,
		Body: []byte(`<html><body><p><a href="` + html.EscapeString(redirect) + `">Click to continue...</a></p></body></html>`)}
}

// title writes every word with a capital.
func title(text string) string {
	words := strings.Fields(text)
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, " ")
}
