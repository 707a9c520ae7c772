package formpost

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strconv"
	"strings"
)

const (
	maxValue  = 4096 // bytes of a field that count
	maxFields = 100
)

var (
	errBoundary = errors.New("invalid starting boundary")
	errFields   = errors.New("too many fields")
)

// form is what a form has said before its first file.
type form struct {
	parts  *multipart.Reader
	fields map[string]string
	signed bool // the signature was found good; later fields do not count
}

// isForm gives the boundary of a form with files.
func isForm(contentType string) (string, bool) {
	kind, params, err := mime.ParseMediaType(contentType)
	return params["boundary"], err == nil && kind == "multipart/form-data" && params["boundary"] != ""
}

func newForm(body io.Reader, boundary string) *form {
	return &form{parts: multipart.NewReader(body, boundary), fields: map[string]string{}}
}

// file goes on to the next file; io.EOF when there is none.
func (f *form) file() (*multipart.Part, error) {
	for n := 0; ; n++ {
		part, err := f.parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		if err != nil {
			return nil, errBoundary
		}
		if fileName(part) != "" {
			return part, nil
		}
		if n == maxFields {
			return nil, errFields
		}
		if err := f.field(part); err != nil {
			return nil, err
		}
	}
}

// fileName is what the client calls a file, folders included.
func fileName(part *multipart.Part) string {
	disposition, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	if err != nil || disposition != "form-data" {
		return ""
	}
	return params["filename"]
}

func (f *form) field(part *multipart.Part) error {
	value, err := io.ReadAll(io.LimitReader(part, maxValue))
	if err != nil {
		return errBoundary
	}
	name := strings.ToLower(part.FormName())
	if f.signed || name == "" {
		return nil
	}
	if len(f.fields) == maxFields {
		return errFields
	}
	f.fields[name] = strings.TrimRight(string(value), "\r\n-")
	return nil
}

// number is an integer field; 0 when it is absent.
func (f *form) number(name string) (int64, bool) {
	text := strings.TrimSpace(f.fields[name])
	if text == "" {
		return 0, true
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

// text is a field as it was signed.
func (f *form) text(name, absent string) string {
	if v := f.fields[name]; v != "" {
		return v
	}
	return absent
}

// signedText is what the signature of a form is made of.
func (f *form) signedText(path string) string {
	return strings.Join([]string{path, f.fields["redirect"], f.text("max_file_size", "0"), f.text("max_file_count", "0"), f.text("expires", "0")}, "\n")
}

// capped is a file of limited length.
type capped struct {
	r        io.Reader
	left     int64
	exceeded bool
}

var errExceeded = errors.New("max_file_size exceeded")

func (c *capped) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.left -= int64(n); c.left < 0 {
		c.exceeded = true
		return 0, errExceeded
	}
	return n, err
}
