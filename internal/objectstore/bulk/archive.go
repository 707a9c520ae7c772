package bulk

import (
	"archive/tar"
	"bufio"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/mekcloud/mek/internal/objectstore"
)

// unpack gives the tar stream in a body; false for a kind that is not known.
func unpack(kind string, body io.Reader) (func() (*tar.Reader, error), bool) {
	switch strings.Trim(strings.ToLower(kind), ".") {
	case "tar":
		return func() (*tar.Reader, error) { return tar.NewReader(body), nil }, true
	case "tar.gz":
		return func() (*tar.Reader, error) {
			z, err := gzip.NewReader(body)
			if err != nil {
				return nil, fmt.Errorf("not a gzip file: %w", err)
			}
			return tar.NewReader(z), nil
		}, true
	case "tar.bz2":
		return func() (*tar.Reader, error) { return tar.NewReader(bzip2.NewReader(body)), nil }, true
	}
	return nil, false
}

// place is where a file of an archive goes below the account: container and
// object, or nothing for a file that lies in no folder.
func place(base, name string) (container, object string) {
	name = strings.TrimLeft(strings.TrimPrefix(name, "./"), "/")
	if base = strings.TrimRight(base, "/"); base != "" {
		name = base + "/" + name
	}
	container, object, _ = strings.Cut(name, "/")
	if object == "" {
		return "", ""
	}
	return container, object
}

// attributes are what an archive says of a file in extended attributes: its
// type, and metadata.
func attributes(h *tar.Header) objectstore.Headers {
	out := objectstore.Headers{}
	for record, value := range h.PAXRecords {
		name, ok := strings.CutPrefix(record, "SCHILY.xattr.user.")
		if !ok {
			name, ok = strings.CutPrefix(record, "LIBARCHIVE.xattr.user.")
		}
		switch {
		case !ok:
		case strings.EqualFold(name, "mime_type"):
			out["Content-Type"] = value
		default:
			if meta, ok := strings.CutPrefix(name, "meta."); ok && meta != "" {
				out["X-Object-Meta-"+meta] = value
			}
		}
	}
	return out
}

// names reads a list of what to delete, a name a line, escaped.
type names struct{ lines *bufio.Reader }

var errLong = errors.New("a name is too long")

// maxLine is the most bytes of a line: a name of the greatest length, escaped.
const maxLine = 2 * (1024 + 256 + 3)

func newNames(body io.Reader) *names { return &names{bufio.NewReaderSize(body, maxLine+2)} }

// next gives the next name that is not blank; io.EOF at the end.
func (n *names) next() (string, error) {
	for {
		line, err := n.lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return "", errLong
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		text := strings.TrimSpace(string(line))
		if plain, bad := url.PathUnescape(text); bad == nil {
			text = plain
		}
		if text != "" {
			return text, nil
		}
		if err != nil {
			return "", io.EOF
		}
	}
}
