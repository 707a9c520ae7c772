package bulk

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/mekcloud/mek/internal/objectstore/swift"
)

// deletion deletes a list of objects and containers.
type deletion struct{ *run }

const (
	deleted = "Number Deleted"
	unknown = "Number Not Found"
)

func (d *deletion) do() error {
	d.report.Counts[deleted], d.report.Counts[unknown] = 0, 0
	if kind := d.request.Header.Get("Content-Type"); kind != "" && !strings.HasPrefix(kind, "text/plain") {
		d.end(http.StatusNotAcceptable, "")
		return nil
	}
	if d.request.Length == swift.NoLength {
		d.end(http.StatusLengthRequired, "")
		return nil
	}
	worst, ended, err := d.all()
	switch {
	case err != nil:
		return err
	case ended:
	case len(d.report.Errors) > 0:
		d.end(worst, "")
	case d.report.Counts[deleted]+d.report.Counts[unknown] == 0:
		d.end(http.StatusBadRequest, "Invalid bulk delete.")
	}
	return nil
}

// all deletes what the list names; ended: the report says already why it stopped.
func (d *deletion) all() (worst int, ended bool, err error) {
	list := newNames(d.request.Body)
	worst = http.StatusBadRequest
	for n := 0; ; n++ {
		if err := d.alive(); err != nil {
			return worst, false, err
		}
		name, err := list.next()
		switch {
		case errors.Is(err, io.EOF):
			return worst, false, nil
		case errors.Is(err, errLong):
			d.end(http.StatusBadRequest, "Invalid File Name")
			return worst, true, nil
		case err != nil:
			return worst, false, err
		case n >= maxDeletes:
			d.end(http.StatusRequestEntityTooLarge, fmt.Sprintf("Maximum Bulk Deletes: %d per request", maxDeletes))
			return worst, true, nil
		case len(d.report.Errors) >= maxFailed:
			d.end(http.StatusBadRequest, "Max delete failures exceeded")
			return worst, true, nil
		}
		if d.one(name) >= 500 {
			worst = http.StatusBadGateway
		}
	}
}

// one deletes an object or an empty container.
func (d *deletion) one(name string) int {
	to := swift.Target{Account: d.request.Account}
	to.Container, to.Object, _ = strings.Cut(strings.TrimLeft(name, "/"), "/")
	if !swift.ValidText(name) || to.Container == "" {
		d.failed(name, http.StatusPreconditionFailed)
		return http.StatusPreconditionFailed
	}
	status := d.send(d.request.Sub(http.MethodDelete, to))
	switch {
	case status >= 200 && status < 300:
		d.report.Counts[deleted]++
	case status == http.StatusNotFound:
		d.report.Counts[unknown]++
	default:
		d.failed(name, status)
	}
	return status
}
