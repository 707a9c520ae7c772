package bulk

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/mekcloud/mek/internal/objectstore/swift"
)

// extraction puts the files of an archive.
type extraction struct {
	*run
	open    func() (*tar.Reader, error)
	seen    map[string]bool // containers that were asked for
	created int
	worst   int // status of the report when something failed
}

// errEnd ends an extraction whose report is complete.
var errEnd = errors.New("end")

const created = "Number Files Created"

func (x *extraction) do() error {
	x.report.Counts[created], x.worst = 0, http.StatusBadRequest
	if x.request.Length == swift.NoLength {
		x.end(http.StatusLengthRequired, "")
		return nil
	}
	archive, err := x.open()
	if err == nil {
		err = x.files(archive)
	}
	switch {
	case errors.Is(err, errEnd):
	case errors.Is(err, errClient):
		return err
	case err != nil:
		x.end(http.StatusBadRequest, fmt.Sprintf("Invalid Tar File: %v", err))
	case len(x.report.Errors) > 0:
		x.end(x.worst, "")
	case x.report.Counts[created] == 0:
		x.end(http.StatusBadRequest, "Invalid Tar File: No Valid Files")
	}
	return nil
}

// errClient says that nobody listens any more.
var errClient = errors.New("the client has left")

func (x *extraction) files(archive *tar.Reader) error {
	base := x.request.Container
	if x.request.Object != "" {
		base += "/" + x.request.Object
	}
	for len(x.report.Errors) < maxFailed {
		if err := x.alive(); err != nil {
			return errors.Join(errClient, err)
		}
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		container, object := place(base, h.Name)
		if container == "" {
			continue
		}
		if err := x.file(swift.Target{Account: x.request.Account, Container: container, Object: object}, h, archive); err != nil {
			return err
		}
	}
	return nil
}

// file puts one file.
func (x *extraction) file(to swift.Target, h *tar.Header, body io.Reader) error {
	name := to.Container + "/" + to.Object
	switch {
	case !swift.ValidText(name):
		x.failed(name, http.StatusPreconditionFailed)
		return nil
	case h.Size > swift.MaxFileSize:
		x.failed(name, http.StatusRequestEntityTooLarge)
		return nil
	}
	refused, err := x.container(to)
	if err != nil {
		return err
	}
	sub := x.request.Sub(http.MethodPut, to)
	for header, values := range x.request.Header {
		if strings.HasPrefix(header, "X-Delete-") || strings.HasPrefix(header, swift.ObjectMeta) {
			sub.Header[header] = values
		}
	}
	for header, value := range attributes(h) {
		sub.Header.Set(header, value)
	}
	sub.Body, sub.Length = body, h.Size
	status := x.send(sub)
	if status >= 200 && status < 300 {
		x.report.Counts[created]++
		return nil
	}
	if refused != 0 {
		x.failed("/v1/"+to.Account+"/"+to.Container, refused)
	}
	x.failed(name, status)
	switch {
	case status == http.StatusUnauthorized:
		x.end(status, "")
		return errEnd
	case status >= 500:
		x.worst = http.StatusBadGateway
	}
	return nil
}

// container makes the container of a file, once; refused is the status where it
// may not, and the file may go in all the same.
func (x *extraction) container(to swift.Target) (refused int, err error) {
	if x.seen[to.Container] {
		return 0, nil
	}
	x.seen[to.Container] = true
	at := swift.Target{Account: to.Account, Container: to.Container}
	if status := x.send(x.request.Sub(http.MethodHead, at)); status >= 200 && status < 300 {
		return 0, nil
	}
	status := x.send(x.request.Sub(http.MethodPut, at))
	switch {
	case status == http.StatusUnauthorized:
		x.end(status, "")
		return 0, errEnd
	case status == http.StatusCreated:
		if x.created++; x.created > maxContainers {
			x.end(http.StatusBadRequest, fmt.Sprintf("More than %d containers to create from tar.", maxContainers))
			return 0, errEnd
		}
	case status < 200 || status > 299:
		return status, nil
	}
	return 0, nil
}
