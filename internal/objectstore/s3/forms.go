package s3

import (
	"bufio"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/s3/document"
	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
	"github.com/mekcloud/mek/internal/objectstore/s3/formpolicy"
	"github.com/mekcloud/mek/internal/objectstore/s3/signature"
)

// Limits of a form: bytes of the fields in front of the file, and their number.
const (
	maxFormFields = 20 << 10
	maxFormCount  = 100
)

// form is a browser's upload: fields, and then the file.
type form struct {
	fields map[string]string // by lower-case name
	names  []string          // as they were sent
	file   *multipart.Part
	rest   *multipart.Reader
}

func (f *form) get(name string) string { return f.fields[name] }

// readForm reads up to the file.
func (c *call) readForm() (*form, error) {
	kind, parameters, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || parameters["boundary"] == "" {
		return nil, failure.New(failure.NotImplemented) // no other POST to a bucket exists
	}
	f := &form{fields: map[string]string{}, rest: multipart.NewReader(c.Body, parameters["boundary"])}
	left := int64(maxFormFields)
	for {
		part, err := f.rest.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil, failure.New(failure.IncorrectNumberOfFiles)
		}
		if err != nil {
			return nil, failure.New(failure.MalformedPOSTRequest).Because(err)
		}
		name := strings.ToLower(part.FormName())
		if name == "file" {
			f.file = part
			return f, nil
		}
		value, err := io.ReadAll(io.LimitReader(part, left+1))
		if err != nil {
			return nil, failure.New(failure.MalformedPOSTRequest).Because(err)
		}
		if left -= int64(len(value) + len(name)); left < 0 || len(f.names) >= maxFormCount {
			return nil, failure.New(failure.MaxPostPreDataLength)
		}
		if name == "" || !validText(string(value)) {
			return nil, failure.New(failure.MalformedPOSTRequest)
		}
		f.fields[name] = string(value)
		f.names = append(f.names, name)
	}
}

// postObject stores the file of a form, if its signed policy allows it.
func (c *call) postObject() (*reply, error) {
	if !c.anonymous() {
		return nil, failure.New(failure.NotImplemented)
	}
	f, err := c.readForm()
	if err != nil {
		return nil, err
	}
	claim, err := signature.ParseForm(f.get, c.signatureOptions())
	if err != nil {
		return nil, err
	}
	if claim == nil || f.get("x-amz-security-token") != "" {
		return nil, failure.New(failure.AccessDenied)
	}
	if err := c.verify(claim); err != nil {
		return nil, err
	}
	c.key = strings.ReplaceAll(f.get("key"), "${filename}", path.Base("/"+strings.ReplaceAll(f.file.FileName(), `\`, "/")))
	switch {
	case c.key == "":
		return nil, failure.New(failure.UserKeyMustBeSpecified)
	case len(c.key) > maxKey:
		return nil, failure.New(failure.KeyTooLong)
	}
	policy, err := formpolicy.Read(f.get("policy"), c.now)
	if err != nil {
		return nil, err
	}
	if err := policy.Check(c.bucket, f.names, f.get); err != nil {
		return nil, err
	}
	b, err := c.enter(toWrite)
	if err != nil {
		return nil, err
	}
	return c.storeForm(b, f, policy)
}

// storeForm stores the file and answers as the form asks.
func (c *call) storeForm(b *objectstore.Container, f *form, policy *formpolicy.Policy) (*reply, error) {
	h := http.Header{}
	for _, name := range f.names {
		h.Set(name, f.get(name))
	}
	if _, err := canned(h.Get("Acl")); h.Get("Acl") != "" && err != nil {
		return nil, err
	}
	d, err := c.described(h)
	if err != nil {
		return nil, err
	}
	p := &payload{in: &onlyFile{in: bufio.NewReader(f.file), form: f, least: policy.Least, most: policy.Most}, size: -1}
	if p.md5, err = contentMD5(h.Get("Content-Md5")); err != nil {
		return nil, err
	}
	o, err := c.store(b, c.key, d, p)
	if err != nil {
		return nil, err
	}
	return c.posted(b, f, o)
}

// onlyFile reads a form's file, keeps the policy's bounds and refuses more files.
type onlyFile struct {
	in          io.Reader
	form        *form
	least, most int64
	taken       int64
}

func (r *onlyFile) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	r.taken += int64(n)
	if r.most >= 0 && r.taken > r.most {
		return n, failure.New(failure.EntityTooLarge).With("MaxSizeAllowed", strconv.FormatInt(r.most, 10))
	}
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	if r.taken < r.least {
		return n, failure.New(failure.EntityTooSmall).With("MinSizeAllowed", strconv.FormatInt(r.least, 10))
	}
	for {
		part, next := r.form.rest.NextRawPart()
		switch {
		case errors.Is(next, io.EOF):
			return n, io.EOF
		case next != nil:
			return n, failure.New(failure.MalformedPOSTRequest).Because(next)
		case part.FormName() == "file":
			return n, failure.New(failure.IncorrectNumberOfFiles)
		}
	}
}

func (c *call) posted(b *objectstore.Container, f *form, o *objectstore.Object) (*reply, error) {
	scheme := "http"
	if c.TLS != nil {
		scheme = "https"
	}
	at := scheme + "://" + c.Host + strings.TrimSuffix(c.URL.EscapedPath(), "/") + "/" + (&url.URL{Path: c.key}).EscapedPath()
	out := empty(http.StatusNoContent)
	to := f.get("success_action_redirect")
	if to == "" {
		to = f.get("redirect")
	}
	if target, err := url.Parse(to); to != "" && err == nil && (target.Scheme == "http" || target.Scheme == "https") && target.Host != "" {
		q := target.Query()
		q.Set("bucket", b.Name)
		q.Set("key", c.key)
		q.Set("etag", quoted(o.ETag))
		target.RawQuery = q.Encode()
		out.status = http.StatusSeeOther
		out.with("Location", target.String())
	} else {
		switch f.get("success_action_status") {
		case "200":
			out.status = http.StatusOK
		case "201":
			out.status = http.StatusCreated
			out.body = document.Posted{Location: at, Bucket: b.Name, Key: c.key, ETag: quoted(o.ETag)}
		}
		out.with("Location", at)
	}
	out.header["ETag"] = []string{quoted(o.ETag)}
	showVersion(out.header, b, o.Version)
	return out, nil
}
