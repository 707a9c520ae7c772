package imageapi_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/image"
	imageapi "github.com/mekcloud/mek/internal/image/api"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
	"github.com/mekcloud/mek/internal/task"
	"github.com/mekcloud/mek/internal/task/tasktest"
)

// web is what can be fetched in these tests.
type web map[string]string

func (w web) Get(_ context.Context, address string) (io.ReadCloser, int64, error) {
	text, ok := w[address]
	if !ok {
		return nil, 0, fault.Invalidf("The address could not be fetched")
	}
	return io.NopCloser(strings.NewReader(text)), -1, nil
}

// anything takes every content for raw bytes.
type anything struct{}

func (anything) Inspect(_ context.Context, f *os.File, _ image.Format) (image.Inspection, error) {
	st, err := f.Stat()
	if err != nil {
		return image.Inspection{}, err
	}
	return image.Inspection{Format: image.Raw, VirtualSize: st.Size()}, nil
}

func engine(t *testing.T, d *db.DB) *task.Engine {
	return task.New(task.Options{DB: d, Clock: clock.Real{}, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Owner: "test", Retry: time.Millisecond})
}

// running runs an engine for the test and gives a function that waits until it
// has nothing left to do.
func running(t *testing.T, e *task.Engine) (idle func()) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return func() {
		t.Helper()
		if err := e.Idle(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func TestImportsThatGoOnAlone(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		e := engine(t, d)
		g := newGlance(t, d, func(deps *imageapi.Deps) {
			deps.Sagas, deps.Fetch, deps.Region = e, web{"http://here/image": "bytes"}, "RegionOne"
		})
		methods := g.do("alice", "GET", "/v2/info/import", nil).expect(http.StatusOK)
		for _, m := range []string{"glance-direct", "copy-image", "glance-download", "web-download"} {
			if !strings.Contains(string(methods.body), m) {
				t.Errorf("%s is not offered", m)
			}
		}
		idle := running(t, e)
		by := func(method fields) fields { return fields{"method": method} }
		from := g.image("alice", fields{"hw_vcpus": "2", "speed": "88mph"})
		g.do("alice", "POST", "/v2/images/"+from+"/import", by(fields{"name": "web-download", "uri": "http://here/image"})).expect(http.StatusAccepted)
		idle()
		if i := g.do("alice", "GET", "/v2/images/"+from, nil).json(); i["status"] != "active" || i["size"] != 5.0 || i["stores"] != "file" {
			t.Errorf("fetched: %v", i)
		}
		g.do("alice", "POST", "/v2/images/"+from+"/import", by(fields{"name": "web-download", "uri": "http://here/image"})).expect(http.StatusConflict)
		for _, bad := range []string{"file:///etc/passwd", "http://user@here/", "nonsense"} {
			g.do("alice", "POST", "/v2/images/"+g.image("alice", nil)+"/import", by(fields{"name": "web-download", "uri": bad})).expect(http.StatusBadRequest)
		}
		failed := g.image("alice", nil)
		g.do("alice", "POST", "/v2/images/"+failed+"/import", by(fields{"name": "web-download", "uri": "http://elsewhere/"})).expect(http.StatusAccepted)
		idle()
		if i := g.do("alice", "GET", "/v2/images/"+failed, nil).json(); i["status"] != "queued" || i["os_glance_failed_import"] != "file" {
			t.Errorf("not fetched: %v", i)
		}
		if got := g.do("alice", "GET", "/v2/images/"+failed+"/tasks", nil).expect(http.StatusOK).ids("tasks", "status"); len(got) != 1 || got[0] != "failure" {
			t.Errorf("tasks %v", got)
		}
		remote := func(id, region string) fields {
			return by(fields{"name": "glance-download", "glance_image_id": id, "glance_region": region, "glance_service_interface": "public"})
		}
		g.do("alice", "POST", "/v2/images/"+g.image("alice", nil)+"/import", remote("foo", "RegionOne")).expect(http.StatusBadRequest)
		for who, want := range map[string]string{"alice": "active", "bob": "queued"} { // bob does not see the source
			to := g.image(who, nil)
			g.do(who, "POST", "/v2/images/"+to+"/import", remote(from, "RegionOne")).expect(http.StatusAccepted)
			idle()
			i := g.do(who, "GET", "/v2/images/"+to, nil).json()
			if i["status"] != want || (i["hw_vcpus"] == "2") != (who == "alice") || i["speed"] != nil {
				t.Errorf("%s's copy: %v", who, i)
			}
		}
		g.do("alice", "POST", "/v2/images/"+from+"/import", fields{"method": fields{"name": "copy-image"}, "all_stores": true}).expect(http.StatusForbidden)
		g.do("admin", "POST", "/v2/images/"+from+"/import", fields{"method": fields{"name": "copy-image"}, "all_stores": true}).expect(http.StatusAccepted)
		if i := g.do("alice", "GET", "/v2/images/"+from, nil).json(); i["os_glance_importing_to_stores"] != "" || i["os_glance_failed_import"] != "" {
			t.Errorf("copied: %v", i)
		}
		g.do("admin", "POST", "/v2/images/"+from+"/import", fields{"method": fields{"name": "copy-image"}, "stores": []string{"file"}}).expect(http.StatusConflict)
		g.do("admin", "POST", "/v2/images/"+from+"/import", fields{"method": fields{"name": "copy-image"}, "stores": []string{"tape"}}).expect(http.StatusBadRequest)
		g.do("admin", "GET", "/v2/info/stores/detail", nil).expect(http.StatusOK)
		g.do("alice", "GET", "/v2/info/stores/detail", nil).expect(http.StatusForbidden)
		g.do("admin", "DELETE", "/v2/stores/file/"+from, nil).expect(http.StatusForbidden)
		g.do("admin", "DELETE", "/v2/stores/tape/"+from, nil).expect(http.StatusConflict)
		g.do("admin", "DELETE", "/v2/tasks/any", nil).expect(http.StatusMethodNotAllowed)
	})
}

const worldImage = "11111111-2222-4333-8444-555555555555"

// imported is a world of the image service for sagas. start sends requests by
// do; done and unwound are words of what is shown afterwards.
func imported(start func(do func(method, path, body string, want int) error) error, done, unwound []string) func(t *testing.T) tasktest.World {
	return func(t *testing.T) tasktest.World {
		d, dir := dbtest.One(t), t.TempDir()
		var front http.Handler
		do := func(method, path, body string) (int, string) {
			r, err := http.NewRequestWithContext(t.Context(), method, "http://x/image"+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Auth-Token", "alice")
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			front.ServeHTTP(w, r)
			return w.Code, w.Body.String()
		}
		var service *imageapi.Service
		is := func(words []string) func(t *testing.T) {
			return func(t *testing.T) {
				t.Helper()
				_, images := do("GET", "/v2/images", "")
				_, tasks := do("GET", "/v2/images/"+worldImage+"/tasks", "")
				_, all := do("GET", "/v2/tasks", "")
				_, places := do("GET", "/v2/images/"+worldImage+"/locations", "")
				for _, word := range words {
					if !strings.Contains(images+tasks+all+"placed "+places, word) {
						t.Errorf("no %s in %s, %s, %s, %s", word, images, tasks, all, places)
					}
				}
				if found, err := service.Verify(t.Context(), true); err != nil || len(found) > 0 {
					t.Errorf("found %v, %v", found, err)
				}
			}
		}
		return tasktest.World{DB: d, Open: func(o task.Options) *task.Engine {
			o.DB = d
			e := task.New(o)
			var err error
			service, err = imageapi.New(imageapi.Deps{DB: d, Clock: clock.Real{}, Log: slog.New(slog.DiscardHandler), Dir: dir, Worker: anything{}, Alone: true,
				Sagas: e, Fetch: web{"http://here/image": "bytes"}, Region: "R"})
			if err != nil {
				t.Fatal(err)
			}
			svc := service.REST()
			if svc.Policy, err = policy.New(policy.Base(), svc.Rules); err != nil {
				t.Fatal(err)
			}
			front = rest.New(rest.Config{Auth: people{"alice": person("alice-project", "admin", "member", "reader")}, Clock: clock.Real{}, Log: slog.New(slog.DiscardHandler)}, http.NotFoundHandler(), svc)
			return e
		}, Start: func(context.Context) error {
			return start(func(method, path, body string, want int) error {
				if code, text := do(method, path, body); code != want {
					return fault.Internalf("%s %s: %d %s", method, path, code, text)
				}
				return nil
			})
		}, Done: is(done), Unwound: is(unwound), Checks: func() []check.Check { return service.Checks() }}
	}
}

func TestImportSaga(t *testing.T) {
	record := `{"id":"` + worldImage + `","disk_format":"raw","container_format":"bare"}`
	tasktest.Exercise(t, tasktest.Fixture{Op: "image.import", World: imported(func(do func(method, path, body string, want int) error) error {
		return errors.Join(do("POST", "/v2/images", record, http.StatusCreated),
			do("POST", "/v2/images/"+worldImage+"/import", `{"method":{"name":"web-download","uri":"http://here/image"}}`, http.StatusAccepted))
	}, []string{`"status":"active"`, `"size":5`, `"status":"success"`, "placed []"}, []string{`"status":"queued"`, `"status":"failure"`, `"os_glance_failed_import":"file"`})})
}

// TestLocationSaga is an import that keeps where the bytes are from.
func TestLocationSaga(t *testing.T) {
	record := `{"id":"` + worldImage + `","disk_format":"raw","container_format":"bare"}`
	tasktest.Exercise(t, tasktest.Fixture{Op: "image.import", World: imported(func(do func(method, path, body string, want int) error) error {
		return errors.Join(do("POST", "/v2/images", record, http.StatusCreated),
			do("POST", "/v2/images/"+worldImage+"/locations", `{"url":"http://here/image"}`, http.StatusAccepted))
	}, []string{`"status":"active"`, `"size":5`, `"status":"success"`, `placed [{"metadata":{},"url":"http://here/image"}]`}, []string{`"status":"queued"`, `"status":"failure"`, "placed []"})})
}

// TestTaskSaga makes an image of an address, or leaves none.
func TestTaskSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "image.task", World: imported(func(do func(method, path, body string, want int) error) error {
		return do("POST", "/v2/tasks", `{"type":"import","input":{"import_from":"http://here/image","import_from_format":"raw","image_properties":
			{"name":"new","disk_format":"raw","container_format":"bare"}}}`, http.StatusCreated)
	}, []string{`"name":"new"`, `"status":"active"`, `"size":5`, `"status":"success"`}, []string{`"images":[]`, `"status":"failure"`})})
}

func TestEverySagaIsExercised(t *testing.T) {
	e := engine(t, dbtest.One(t))
	newGlance(t, dbtest.One(t), func(deps *imageapi.Deps) { deps.Sagas = e })
	tasktest.RequireFixtures(t, ".", e)
}
