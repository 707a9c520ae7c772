package imageapi_test

import (
	"crypto/sha512"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	imageapi "github.com/mekcloud/mek/internal/image/api"
)

// fetching is a Glance that fetches from a small web, and waits for what it does.
func fetching(t *testing.T, d *db.DB) (*glance, func()) {
	e := engine(t, d)
	g := newGlance(t, d, func(deps *imageapi.Deps) {
		deps.Sagas, deps.Fetch, deps.Region = e, web{"http://here/image": "bytes"}, "RegionOne"
	})
	return g, running(t, e)
}

func TestTasksThatAreAskedFor(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		g, idle := fetching(t, d)
		input := func(from string, properties any) fields {
			return fields{"import_from": from, "import_from_format": "raw", "image_properties": properties}
		}
		make := func(kind string, input any) *answer {
			return g.do("admin", "POST", "/v2/tasks", fields{"type": kind, "input": input}).expect(http.StatusCreated)
		}
		end := func(made *answer) fields {
			t.Helper()
			idle()
			return g.do("admin", "GET", "/v2/tasks/"+made.text("id"), nil).expect(http.StatusOK).json()
		}
		plain := fields{"name": "new", "disk_format": "raw", "container_format": "bare", "hw_vcpus": "2"}
		made := make("import", input("http://here/image", plain))
		if one := made.json(); one["type"] != "import" || one["result"] != nil || one["image_id"] != nil || !strings.HasSuffix(made.header.Get("Location"), "/v2/tasks/"+made.text("id")) {
			t.Errorf("made %s, %v", made.body, made.header)
		}
		done := end(made)
		result, _ := done["result"].(map[string]any)
		if done["status"] != "success" || done["expires_at"] == nil || result == nil {
			t.Fatalf("ended %v", done)
		}
		if i := g.do("admin", "GET", "/v2/images/"+result["image_id"].(string), nil).json(); i["status"] != "active" || i["name"] != "new" || i["hw_vcpus"] != "2" || i["size"] != 5.0 {
			t.Errorf("image %v", i)
		}
		for what, bad := range map[string]*answer{
			"nothing there":   make("import", input("http://elsewhere/", plain)),
			"no format":       make("import", fields{"import_from": "http://here/image", "image_properties": plain}),
			"no image":        make("import", input("http://here/image", fields{"min_disk": "x"})),
			"an id":           make("import", input("http://here/image", fields{"id": result["image_id"]})),
			"no disk format":  make("import", input("http://here/image", fields{"name": "bare"})),
			"empty":           make("api_image_import", nil),
			"no such image":   make("api_image_import", fields{"image_id": worldImage, "import_req": fields{"method": fields{"name": "web-download"}}}),
			"active already":  make("api_image_import", fields{"image_id": result["image_id"], "import_req": fields{"method": fields{"name": "web-download", "uri": "http://here/image"}}}),
			"no location":     make("location_import", fields{"image_id": result["image_id"]}),
			"located already": make("location_import", fields{"image_id": result["image_id"], "loc_url": "http://here/image", "validation_data": fields{}}),
		} {
			if got := end(bad); got["status"] != "failure" || got["message"] == "" || got["result"] != nil {
				t.Errorf("%s: %v", what, got)
			}
		}
		if left := g.do("admin", "GET", "/v2/images", nil).ids("images", "name"); len(left) != 1 {
			t.Errorf("images %v", left)
		}
		queued := g.image("admin", nil)
		if got := end(make("api_image_import", fields{"image_id": queued, "import_req": fields{"method": fields{"name": "web-download", "uri": "http://here/image"}}})); got["status"] != "success" {
			t.Errorf("import of bytes: %v", got)
		}
		queued = g.image("admin", nil)
		if got := end(make("location_import", fields{"image_id": queued, "loc_url": "http://here/image", "validation_data": fields{}})); got["status"] != "success" {
			t.Errorf("import of a location: %v", got)
		}
	})
}

func TestTasksThatAreRefused(t *testing.T) {
	g, _ := fetching(t, dbtest.One(t))
	off := newGlance(t, dbtest.One(t), nil)
	from := func(uri any) fields {
		return fields{"type": "import", "input": fields{"import_from": uri, "import_from_format": "raw", "image_properties": fields{}}}
	}
	for _, bad := range []any{nil, "[]", "{", fields{"type": "import"}, fields{"input": fields{}}, fields{"type": "export", "input": fields{}}, fields{"type": "import", "input": 1},
		fields{"type": "import", "input": nil}, fields{"type": "import", "input": fields{}, "colour": "red"}, from(nil), from("file:///etc/passwd"), from("filesystem:///x"),
		from("ftp://x/y"), from("http://user@here/image"), from(7)} {
		if got := g.do("admin", "POST", "/v2/tasks", bad); got.status != http.StatusBadRequest {
			t.Errorf("%v: %d %s", bad, got.status, got.body)
		}
	}
	g.do("alice", "POST", "/v2/tasks", from("http://here/image")).expect(http.StatusForbidden)
	if got := off.do("admin", "POST", "/v2/tasks", from("http://here/image")).expect(http.StatusBadRequest); !strings.Contains(string(got.body), "does not pass filtering") {
		t.Errorf("%s", got.body)
	}
}

func TestLocations(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		g, idle := fetching(t, d)
		sum := sha512.Sum512([]byte("bytes"))
		valid := func(value string) fields { return fields{"os_hash_algo": "sha512", "os_hash_value": value} }
		add := func(who, id string, body any) int {
			return g.do(who, "POST", "/v2/images/"+id+"/locations", body).status
		}
		one := g.image("alice", nil)
		for _, bad := range []any{nil, "[]", fields{}, fields{"url": 1}, fields{"url": "http://here/image", "validation_data": fields{"os_hash_algo": "sha512"}},
			fields{"url": "http://here/image", "validation_data": fields{"os_hash_algo": "md5", "os_hash_value": "00"}}, fields{"url": "http://here/image", "validation_data": valid("zz")},
			fields{"url": "http://here/image", "validation_data": valid("00")}, fields{"url": "http://user@here/image"}} {
			if got := add("alice", one, bad); got != http.StatusBadRequest {
				t.Errorf("%v: %d", bad, got)
			}
		}
		here := fields{"url": "http://here/image", "validation_data": valid(hex.EncodeToString(sum[:]))}
		for who, want := range map[string]int{"reader": http.StatusForbidden, "bob": http.StatusNotFound} {
			if got := add(who, one, here); got != want {
				t.Errorf("%s: %d", who, got)
			}
		}
		if got := add("alice", one, fields{"url": "file:///etc/passwd"}); got != http.StatusForbidden {
			t.Errorf("a file: %d", got)
		}
		if got := add("alice", one, fields{"url": "http://here/image", "validation_data": valid(strings.Repeat("00", 64))}); got != http.StatusAccepted {
			t.Errorf("another hash: %d", got)
		}
		idle()
		if i := g.do("alice", "GET", "/v2/images/"+one, nil).json(); i["status"] != "queued" || i["os_glance_failed_import"] != nil {
			t.Errorf("bytes of another hash: %v", i)
		}
		if got := add("alice", one, here); got != http.StatusAccepted {
			t.Fatal(got)
		}
		idle()
		i := g.do("alice", "GET", "/v2/images/"+one, nil).json()
		if i["status"] != "active" || i["os_hash_value"] != hex.EncodeToString(sum[:]) || i["locations"] != nil || i["direct_url"] != nil {
			t.Errorf("brought: %v", i)
		}
		if got := g.do("alice", "GET", "/v2/images/"+one+"/tasks", nil).ids("tasks", "status"); len(got) != 2 || got[0] == got[1] {
			t.Errorf("tasks %v", got)
		}
		if got := add("alice", one, here); got != http.StatusConflict {
			t.Errorf("again: %d", got)
		}
		places := func(id string) string {
			return strings.TrimSpace(string(g.do("admin", "GET", "/v2/images/"+id+"/locations", nil).expect(http.StatusOK).body))
		}
		if got := places(one); got != `[{"metadata":{},"url":"http://here/image"}]` {
			t.Errorf("locations %s", got)
		}
		g.do("alice", "GET", "/v2/images/"+one+"/locations", nil).expect(http.StatusForbidden)
		given := g.image("alice", nil)
		g.do("alice", "PUT", "/v2/images/"+given+"/file", []byte("given")).expect(http.StatusNoContent)
		if got := places(given); got != "[]" {
			t.Errorf("bytes that were given have locations %s", got)
		}
		g.do("alice", "DELETE", "/v2/images/"+one, nil).expect(http.StatusNoContent)
		if again := g.image("alice", fields{"id": one}); places(again) != "[]" {
			t.Errorf("another image of the same id has locations %s", places(again))
		}
	})
}

// Services may name stores that there are not: their task fails, the image stays.
func TestLocationsOfServices(t *testing.T) {
	g := newGlance(t, dbtest.One(t), nil)
	id := g.do("admin", "POST", "/v2/images", fields{"visibility": "public", "disk_format": "raw", "container_format": "bare"}).expect(http.StatusCreated).text("id")
	g.do("alice", "POST", "/v2/images/"+g.image("alice", nil)+"/locations", fields{"url": "http://here/image"}).expect(http.StatusForbidden) // nothing is fetched
	g.do("nova", "POST", "/v2/images/"+id+"/locations", fields{"url": "rbd://a/b/c/d"}).expect(http.StatusAccepted)
	if got := g.do("admin", "GET", "/v2/images/"+id+"/tasks", nil).ids("tasks", "status"); len(got) != 1 || got[0] != "failure" {
		t.Errorf("tasks %v", got)
	}
	if i := g.do("admin", "GET", "/v2/images/"+id, nil).json(); i["status"] != "queued" {
		t.Errorf("image %v", i)
	}
	if got := g.do("nova", "GET", "/v2/images/"+id+"/locations", nil).expect(http.StatusOK); strings.TrimSpace(string(got.body)) != "[]" {
		t.Errorf("%s", got.body)
	}
}
