package bulk

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/objectstore/swift"
)

// Limits, as /info shows them.
const (
	maxContainers = 10000
	maxDeletes    = 10000
	maxFailed     = 1000
	pause         = 10 * time.Second // between blanks that keep a connection
	drained       = 64 << 20         // bytes that are read after the answer
)

// Feature does many changes at once.
type Feature struct{ clock clock.Clock }

// New makes the feature.
func New(c clock.Clock) *Feature { return &Feature{c} }

// Info is the sections of /info.
func Info() map[string]map[string]any {
	return map[string]map[string]any{
		"bulk_upload": {"max_containers_per_extraction": maxContainers, "max_failed_extractions": maxFailed},
		"bulk_delete": {"max_deletes_per_request": maxDeletes, "max_failed_deletes": maxFailed},
	}
}

// Filter answers requests for many changes.
func (f *Feature) Filter(next swift.Handler) swift.Handler {
	return func(r *swift.Request) (swift.Reply, error) {
		extracts := r.Method == http.MethodPut && r.Query.Has("extract-archive")
		deletes := (r.Method == http.MethodPost || r.Method == http.MethodDelete) && r.Query.Has("bulk-delete")
		if extracts || deletes {
			if err := r.Permit(""); err != nil { // access lists decide on each change
				return swift.Reply{}, err
			}
		}
		switch {
		case extracts:
			open, ok := unpack(r.Query.Get("extract-archive"), r.Body)
			if !ok {
				return swift.Reply{}, swift.FailText(http.StatusBadRequest, "Unsupported archive format")
			}
			job := &extraction{run: f.begin(r, next, "upload", http.StatusCreated), open: open, seen: map[string]bool{}}
			return job.reply(job.do), nil
		case deletes:
			job := &deletion{run: f.begin(r, next, "delete", http.StatusOK)}
			return job.reply(job.do), nil
		}
		return next(r)
	}
}

// run is a request of many changes on its way.
type run struct {
	*Feature
	request *swift.Request
	next    swift.Handler
	format  string
	report  swift.Report
	w       http.ResponseWriter
	told    time.Time // when something was written last
	blanks  bool
}

func (f *Feature) begin(r *swift.Request, next swift.Handler, root string, status int) *run {
	return &run{Feature: f, request: r, next: next, format: swift.ReportFormat(r),
		report: swift.Report{Root: root, Values: map[string]string{"Response Status": swift.StatusLine(status), "Response Body": ""}, Counts: map[string]int{}}}
}

// reply streams blanks and the report.
func (u *run) reply(do func() error) swift.Reply {
	return swift.Reply{Status: http.StatusOK, Header: http.Header{"Content-Type": {u.format}}, Stream: func(w http.ResponseWriter) error {
		// the body is read while the answer goes out; HTTP/2 can do that without asking
		_ = http.NewResponseController(w).EnableFullDuplex()
		u.w, u.told = w, u.clock.Now()
		if strings.HasSuffix(u.format, "/xml") {
			if _, err := w.Write([]byte("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")); err != nil {
				return err
			}
		}
		if err := do(); err != nil {
			return err
		}
		if u.blanks {
			if _, err := w.Write([]byte("\r\n\r\n")); err != nil {
				return err
			}
		}
		if _, err := w.Write(u.report.Body(u.format)); err != nil {
			return err
		}
		return u.drain()
	}}
}

// drain reads what the report did not wait for: the server may not find the end
// of a body by itself after it has begun to answer. Who sends much more than that
// for nothing loses the connection.
func (u *run) drain() error {
	if err := http.NewResponseController(u.w).Flush(); err != nil {
		return err
	}
	if n, err := io.CopyN(io.Discard, u.request.Body, drained); err == nil {
		return fmt.Errorf("a body goes on for more than %d bytes after the answer", n)
	}
	return nil
}

// alive keeps the connection.
func (u *run) alive() error {
	if u.clock.Now().Sub(u.told) < pause {
		return nil
	}
	u.told, u.blanks = u.clock.Now(), true
	if _, err := u.w.Write([]byte(" ")); err != nil {
		return err
	}
	return http.NewResponseController(u.w).Flush()
}

// end gives the report its status.
func (u *run) end(status int, text string) {
	u.report.Values["Response Status"], u.report.Values["Response Body"] = swift.StatusLine(status), text
}

// failed notes a change that was not made.
func (u *run) failed(name string, status int) {
	const longest = 1024 + 256 + 2
	u.report.Errors = append(u.report.Errors, [2]string{swift.Quote(name[:min(len(name), longest)]), swift.StatusLine(status)})
}

// send makes one request and gives its status.
func (u *run) send(sub *swift.Request) int {
	reply, err := u.next(sub)
	if err != nil {
		return http.StatusInternalServerError // a defect fails one change, and the others go on
	}
	swift.Discard(reply)
	return reply.Status
}
