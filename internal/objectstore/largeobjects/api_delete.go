package largeobjects

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strings"

	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/swift"
)

// maxBuffered bounds how many segments wait to be deleted.
const maxBuffered = maxSegments * 10

// doomed is something to delete.
type doomed struct {
	path     string // "/container/object"
	version  string
	manifest bool   // its segments come first
	problem  int    // why its manifest cannot be read
	reason   string // the same in words
}

// remove deletes a manifest and everything it names.
func (f *Feature) remove(r *swift.Request, next swift.Handler) (swift.Reply, error) {
	if r.True("async") {
		return f.removeOwn(r, next)
	}
	format := swift.ReportFormat(r)
	report := swift.Report{Root: "delete", Values: map[string]string{"Response Status": swift.StatusLine(http.StatusOK), "Response Body": ""},
		Counts: map[string]int{"Number Deleted": 0, "Number Not Found": 0}}
	queue := []doomed{{path: "/" + r.Container + "/" + r.Object, version: r.Query.Get("version-id"), manifest: true}}
	for len(queue) > 0 {
		if len(queue) > maxBuffered {
			return swift.Reply{}, swift.FailText(http.StatusBadRequest, "Too many buffered slo segments to delete.")
		}
		d := queue[0]
		queue = queue[1:]
		if !d.manifest {
			if err := f.removeOne(r, d, &report, next); err != nil {
				return swift.Reply{}, err
			}
			continue
		}
		segments, err := f.segments(r, &d)
		if err != nil {
			return swift.Reply{}, err
		}
		for _, s := range segments {
			if s.Name != "" {
				queue = append(queue, doomed{path: s.Name, manifest: s.SubSLO})
			}
		}
		d.manifest = false
		queue = append(queue, d) // behind its segments
	}
	if report.Errors != nil {
		report.Values["Response Status"] = swift.StatusLine(http.StatusBadRequest)
	}
	return report.Reply(http.StatusOK, format), nil
}

// removeOne deletes one object, through the filters behind this one.
func (f *Feature) removeOne(r *swift.Request, d doomed, report *swift.Report, next swift.Handler) error {
	name := swift.Quote(d.path)
	switch {
	case d.problem == http.StatusNotFound:
		report.Counts["Number Not Found"]++
		return nil
	case d.problem != 0:
		report.Errors = append(report.Errors, [2]string{name, d.reason})
		return nil
	}
	container, object, _ := strings.Cut(d.path[1:], "/")
	sub := r.Sub(http.MethodDelete, swift.Target{Account: r.Account, Container: container, Object: object})
	if d.version != "" {
		sub.Query.Set("version-id", d.version)
	}
	reply, err := next(sub)
	if err != nil {
		return err
	}
	swift.Discard(reply)
	switch {
	case swift.OK(reply):
		report.Counts["Number Deleted"]++
	case reply.Status == http.StatusNotFound:
		report.Counts["Number Not Found"]++
	default:
		report.Errors = append(report.Errors, [2]string{name, swift.StatusLine(reply.Status)})
	}
	return nil
}

// segments reads the manifest of something doomed; what is wrong with it is noted there.
func (f *Feature) segments(r *swift.Request, d *doomed) ([]objectstore.Segment, error) {
	w, status, err := f.head(r, d.path)
	if err != nil {
		return nil, err
	}
	switch {
	case status == http.StatusNotFound:
		d.problem, d.reason = status, "SLO manifest not found"
		return nil, nil
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		d.problem, d.reason = status, swift.StatusLine(status)
		return nil, nil
	case status != http.StatusOK:
		d.problem, d.reason = status, "Unable to load SLO manifest or segment."
		return nil, nil
	case w.Kind != objectstore.StaticLarge && d.version == "":
		d.problem, d.reason = http.StatusBadRequest, "Not an SLO manifest"
		return nil, nil
	}
	container, object, _ := strings.Cut(d.path[1:], "/")
	w, content, err := f.reader.Open(r.Context(), objectstore.Key{Account: r.Account, Container: container, Name: object, Version: d.version}, objectstore.View{Manifest: true})
	if err != nil {
		return nil, err
	}
	defer content.Close() //nolint:errcheck // it was read
	if w.Kind != objectstore.LargeManifest {
		d.problem, d.reason = http.StatusBadRequest, "Not an SLO manifest"
		return nil, nil
	}
	text, err := io.ReadAll(content.Range(0, w.Size))
	if err != nil {
		return nil, err
	}
	return objectstore.ParseManifest(text)
}

// removeOwn deletes a manifest whose segments lie in one container, with one
// plain answer. Swift does the segments later; here they go at once.
func (f *Feature) removeOwn(r *swift.Request, next swift.Handler) (swift.Reply, error) {
	d := doomed{path: "/" + r.Container + "/" + r.Object, version: r.Query.Get("version-id")}
	segments, err := f.segments(r, &d)
	if err != nil {
		return swift.Reply{}, err
	}
	if d.problem != 0 {
		return swift.Reply{}, swift.FailText(d.problem, d.reason)
	}
	containers := map[string]bool{}
	for _, s := range segments {
		if s.Name != "" {
			container, _, _ := strings.Cut(s.Name[1:], "/")
			containers[container] = true
		}
	}
	if len(containers) > 1 {
		var names []string
		for c := range containers {
			names = append(names, `"`+swift.Quote(c)+`"`)
		}
		sort.Strings(names)
		return swift.Reply{}, swift.FailText(http.StatusBadRequest, fmt.Sprintf("All segments must be in one container. Found segments in %s", strings.Join(names, ", ")))
	}
	report := swift.Report{Counts: map[string]int{}}
	for _, s := range segments {
		switch {
		case s.SubSLO:
			return swift.Reply{}, swift.FailText(http.StatusBadRequest, "No segments may be large objects.")
		case s.Name != "":
			if err := f.removeOne(r, doomed{path: s.Name}, &report, next); err != nil {
				return swift.Reply{}, err
			}
		}
		if report.Errors != nil {
			return swift.Reply{}, swift.Denied(r)
		}
	}
	sub := *r
	sub.Query = map[string][]string{}
	if d.version != "" {
		sub.Query.Set("version-id", d.version)
	}
	return next(&sub)
}

// refusal gives the status of a refusal, for reports.
func refusal(err error) (*objectstore.Whole, int, error) {
	var f *swift.Failure
	if errors.As(err, &f) {
		return nil, f.Status, nil
	}
	return nil, 0, err
}
