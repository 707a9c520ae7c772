package imageapi_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
)

func TestLifeOfAnImage(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		g := newGlance(t, d, nil)
		made := g.do("alice", "POST", "/v2/images", fields{"name": "one", "disk_format": "raw", "container_format": "bare", "os_distro": "debian",
			"tags": []string{"b", "a", "b"}, "min_ram": 32}).expect(http.StatusCreated)
		id := made.text("id")
		if made.header.Get("Location") != g.url+"/v2/images/"+id || made.header.Get("Openstack-Image-Import-Methods") != "glance-direct,copy-image" {
			t.Fatalf("headers %v", made.header)
		}
		want := fields{"id": id, "name": "one", "disk_format": "raw", "container_format": "bare", "os_distro": "debian", "tags": []any{"a", "b"},
			"min_ram": 32.0, "min_disk": 0.0, "status": "queued", "visibility": "shared", "protected": false, "os_hidden": false,
			"owner": "alice-project", "size": nil, "virtual_size": nil, "checksum": nil, "os_hash_algo": nil, "os_hash_value": nil,
			"created_at": "2026-05-01T12:00:00Z", "updated_at": "2026-05-01T12:00:00Z", "self": "/v2/images/" + id, "file": "/v2/images/" + id + "/file",
			"schema": "/v2/schemas/image"}
		if diff := cmp.Diff(want, made.json()); diff != "" {
			t.Fatal(diff)
		}
		g.do("alice", "GET", "/v2/images/"+id+"/file", nil).expect(http.StatusNoContent)
		g.do("alice", "PUT", "/v2/images/"+id+"/file", []byte("hello world")).expect(http.StatusNoContent)
		show := g.do("alice", "GET", "/v2/images/"+id, nil).expect(http.StatusOK).json()
		want["status"], want["size"], want["virtual_size"], want["stores"] = "active", 11.0, 11.0, "file"
		want["checksum"], want["os_hash_algo"] = "5eb63bbbe01eeed093cb22bb8f5acdc3", "sha512"
		want["os_hash_value"] = "309ecc489c12d6eb4cc40f50c902f2b4d0ed77ee511a7c7a9bcd3ca86d4cd86f989dd35bc5ff499670da34255b45b0cfd830e81f605dcf7dc5542e93ae9cd76f"
		if diff := cmp.Diff(want, show); diff != "" {
			t.Fatal(diff)
		}
		got := g.do("alice", "GET", "/v2/images/"+id+"/file", nil).expect(http.StatusOK)
		if string(got.body) != "hello world" || got.header.Get("Content-Md5") != "5eb63bbbe01eeed093cb22bb8f5acdc3" || got.header.Get("Content-Type") != "application/octet-stream" {
			t.Fatalf("%q %v", got.body, got.header)
		}
		g.do("alice", "PUT", "/v2/images/"+id+"/file", []byte("again")).expect(http.StatusConflict)
		g.do("alice", "DELETE", "/v2/images/"+id, nil).expect(http.StatusNoContent)
		g.do("alice", "GET", "/v2/images/"+id, nil).expect(http.StatusNotFound)
		g.do("alice", "DELETE", "/v2/images/"+id, nil).expect(http.StatusNotFound)
		if left := g.files(); len(left) != 0 {
			t.Fatalf("left behind: %v", left)
		}
	})
}

func TestCreateRefuses(t *testing.T) {
	g := newGlance(t, dbtest.One(t), nil)
	for _, c := range []struct {
		body   any
		status int
	}{
		{"", 400}, {"[]", 400}, {"{", 400}, {"null", 400},
		{fields{"name": 5}, 400}, {fields{"name": strings.Repeat("x", 256)}, 400}, {fields{"visibility": "secret"}, 400},
		{fields{"disk_format": "floppy"}, 400}, {fields{"container_format": 1}, 400}, {fields{"min_disk": -1}, 400}, {fields{"min_ram": 1 << 31}, 400},
		{fields{"min_ram": "1"}, 400}, {fields{"protected": "yes"}, 400}, {fields{"tags": "a"}, 400}, {fields{"tags": []string{strings.Repeat("x", 256)}}, 400},
		{fields{"id": "not-a-uuid"}, 400}, {fields{"extra": 5}, 400}, {fields{"extra": nil}, 400}, {fields{strings.Repeat("x", 256): "v"}, 400},
		{fields{"status": "active"}, 403}, {fields{"self": "x"}, 403}, {fields{"locations": []string{}}, 403}, {fields{"os_glance_x": "y"}, 403},
		{fields{"deleted": "true"}, 403}, {fields{"visibility": "public"}, 403}, {fields{"owner": "bob-project"}, 403},
	} {
		if a := g.do("alice", "POST", "/v2/images", c.body); a.status != c.status {
			t.Errorf("%v: %d, want %d: %s", c.body, a.status, c.status, a.body)
		}
	}
	g.do("reader", "POST", "/v2/images", fields{"name": "x"}).expect(http.StatusForbidden)
	g.do("", "POST", "/v2/images", fields{"name": "x"}).expect(http.StatusUnauthorized)
	g.do("admin", "POST", "/v2/images", fields{"visibility": "public", "owner": "bob-project"}).expect(http.StatusCreated)
	const id = "11111111-2222-4333-8444-555555555555"
	g.do("alice", "POST", "/v2/images", fields{"id": id}).expect(http.StatusCreated)
	g.do("bob", "POST", "/v2/images", fields{"id": id}).expect(http.StatusConflict)
	many := fields{}
	for i := range 129 {
		many["p"+strings.Repeat("x", i)] = "v"
	}
	g.do("alice", "POST", "/v2/images", many).expect(http.StatusRequestEntityTooLarge)
}

func TestPatch(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		g := newGlance(t, d, nil)
		id := g.image("alice", fields{"colour": "red"})
		g.clock.Advance(time.Minute)
		changed := g.patch("alice", id, []fields{
			{"op": "replace", "path": "/name", "value": nil}, {"op": "add", "path": "/hw_rng_model", "value": "virtio"}, {"op": "remove", "path": "/colour"},
			{"op": "replace", "path": "/tags", "value": []string{"x", "x"}}, {"op": "replace", "path": "/min_ram", "value": 64},
			{"op": "add", "path": "/a~1b~0c", "value": "v"}, {"op": "replace", "path": "/visibility", "value": "private"},
			{"op": "replace", "path": "/disk_format", "value": "qcow2"},
		}).expect(http.StatusOK).json()
		for name, want := range map[string]any{"name": nil, "hw_rng_model": "virtio", "colour": nil, "min_ram": 64.0, "a/b~c": "v", "visibility": "private",
			"disk_format": "qcow2", "updated_at": "2026-05-01T12:01:00Z", "created_at": "2026-05-01T12:00:00Z"} {
			if changed[name] != want {
				t.Errorf("%s is %v, want %v", name, changed[name], want)
			}
		}
		for _, c := range []struct {
			steps  any
			status int
		}{
			{"", 400}, {"{}", 400}, {"[1]", 400}, {"[null]", 400}, {[]fields{{"path": "/name"}}, 400}, {[]fields{{"op": "move", "path": "/name"}}, 400},
			{[]fields{{"op": "replace", "value": 1}}, 400}, {[]fields{{"op": "replace", "path": "/name"}}, 400}, {[]fields{{"op": "replace", "path": "name", "value": ""}}, 400},
			{[]fields{{"op": "replace", "path": "/a//b", "value": ""}}, 400}, {[]fields{{"op": "replace", "path": "/a/", "value": ""}}, 400},
			{[]fields{{"op": "replace", "path": "/a~2", "value": ""}}, 400}, {[]fields{{"op": "add", "path": "/tags/-", "value": "x"}}, 400},
			{[]fields{{"op": "add", "path": "/x", "value": 5}}, 400}, {[]fields{{"op": "replace", "path": "/nothing", "value": "x"}}, 409},
			{[]fields{{"op": "remove", "path": "/nothing"}}, 409}, {[]fields{{"op": "remove", "path": "/name"}}, 403}, {[]fields{{"op": "replace", "path": "/status", "value": "active"}}, 403},
			{[]fields{{"op": "replace", "path": "/owner", "value": "bob-project"}}, 403}, {[]fields{{"op": "replace", "path": "/visibility", "value": "public"}}, 403},
			{[]fields{{"op": "add", "path": "/locations/-", "value": fields{}}}, 400}, {[]fields{{"op": "replace", "path": "/locations", "value": []string{}}}, 403},
		} {
			if a := g.patch("alice", id, c.steps); a.status != c.status {
				t.Errorf("%v: %d, want %d: %s", c.steps, a.status, c.status, a.body)
			}
		}
		g.do("alice", "PATCH", "/v2/images/"+id, "[]").expect(http.StatusUnsupportedMediaType)
		old := "application/openstack-images-v2.0-json-patch"
		g.do("alice", "PATCH", "/v2/images/"+id, []fields{{"replace": "/name", "value": "old"}}, "Content-Type", old).expect(http.StatusOK)
		g.do("alice", "PATCH", "/v2/images/"+id, []fields{{"add": "/name", "value": "old"}}, "Content-Type", old).expect(http.StatusConflict)
		// half a patch is none
		g.patch("alice", id, []fields{{"op": "replace", "path": "/name", "value": "half"}, {"op": "remove", "path": "/nothing"}}).expect(http.StatusConflict)
		if name := g.do("alice", "GET", "/v2/images/"+id, nil).text("name"); name != "old" {
			t.Errorf("name is %q after a refused patch", name)
		}
		g.patch("bob", id, []fields{{"op": "replace", "path": "/name", "value": "x"}}).expect(http.StatusNotFound)
		g.patch("reader", id, []fields{{"op": "replace", "path": "/name", "value": "x"}}).expect(http.StatusForbidden)
		g.patch("admin", id, []fields{{"op": "replace", "path": "/visibility", "value": "public"}}).expect(http.StatusOK)
		g.patch("bob", id, []fields{{"op": "replace", "path": "/name", "value": "x"}}).expect(http.StatusForbidden)
	})
}

func TestListing(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		g := newGlance(t, d, nil)
		for i, name := range []string{"delta", "alpha", "charlie", "bravo"} {
			id := g.image("alice", fields{"name": name, "visibility": "private", "tags": []string{"t", name}, "serial": name})
			g.do("alice", "PUT", "/v2/images/"+id+"/file", []byte(strings.Repeat("x", 10-i))).expect(http.StatusNoContent)
			g.clock.Advance(time.Minute)
		}
		g.image("alice", fields{"name": "hidden", "os_hidden": true})
		g.image("bob", fields{"name": "community", "visibility": "community"})
		g.image("bob", fields{"name": "private of bob", "visibility": "private"})
		g.image("admin", fields{"name": "public", "visibility": "public"})
		names := func(query string) string {
			return strings.Join(g.do("alice", "GET", "/v2/images"+query, nil).expect(http.StatusOK).ids("images", "name"), " ")
		}
		for query, want := range map[string]string{
			"":                                  "public bravo charlie alpha delta",
			"?visibility=private&sort=name:asc": "alpha bravo charlie delta",
			"?visibility=private&sort=name":     "delta charlie bravo alpha",
			"?sort_key=size&sort_dir=asc&status=active":                             "bravo charlie alpha delta",
			"?status=active&sort_key=size&sort_key=name&sort_dir=desc&sort_dir=asc": "delta alpha charlie bravo",
			"?name=alpha":                                        "alpha",
			"?name=in:alpha,bravo&sort=name:asc":                 "alpha bravo",
			`?name=in:%22alpha%22,bravo&sort=name:asc`:           "alpha bravo",
			"?size_min=9&sort=name:asc":                          "alpha delta",
			"?size_max=8&size_min=1&sort=name:asc":               "bravo charlie",
			"?tag=t&tag=alpha":                                   "alpha",
			"?serial=bravo":                                      "bravo",
			"?serial=nobody":                                     "",
			"?os_hidden=true":                                    "hidden",
			"?visibility=community":                              "community",
			"?visibility=all&owner=bob-project":                  "community",
			"?owner=admin-project":                               "public",
			"?created_at=2026-05-01T12:01:00Z":                   "alpha",
			"?created_at=gt:2026-05-01T12:01:00Z&status=active":  "bravo charlie",
			"?created_at=gte:2026-05-01T12:01:00Z&status=active": "bravo charlie alpha",
			"?created_at=lt:2026-05-01T12:01:00Z":                "delta",
			"?created_at=neq:2026-05-01T12:01:00Z&status=active": "bravo charlie delta",
			"?protected=true":                                    "",
			"?limit=0":                                           "",
			"?limit=2":                                           "public bravo",
			"?disk_format=raw&container_format=bare&limit=1":     "public",
		} {
			if got := names(query); got != want {
				t.Errorf("%s: %q, want %q", query, got, want)
			}
		}
		for _, query := range []string{"limit=x", "limit=-1", "sort=colour", "sort=name:up", "sort=name&sort_key=size", "sort_key=name&sort_dir=asc&sort_dir=asc",
			"name=like:x", "created_at=yesterday", "created_at=about:2026-05-01T12:01:00Z", "size_min=x", "os_hidden=maybe", "protected=1", "visibility=x",
			"member_status=x", "marker=11111111-2222-4333-8444-555555555555", "changes-since=x", `name=in:%22a`} {
			if a := g.do("alice", "GET", "/v2/images?"+query, nil); a.status != http.StatusBadRequest {
				t.Errorf("%s: %d %s", query, a.status, a.body)
			}
		}
		all := g.do("admin", "GET", "/v2/images?limit=100&visibility=all", nil).ids("images", "name")
		if len(all) != 7 {
			t.Errorf("an administrator sees %v", all)
		}
	})
}

func TestPaging(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		g := newGlance(t, d, nil)
		var want []string
		for range 7 {
			want = append(want, g.image("alice", nil))
		}
		slices.Sort(want)
		slices.Reverse(want) // the same moment for all: by id, downwards
		var got []string
		next := "/v2/images?limit=3&name=one"
		for next != "" {
			a := g.do("alice", "GET", next, nil).expect(http.StatusOK)
			got = append(got, a.ids("images", "id")...)
			body := a.json()
			if body["first"] != "/v2/images?limit=3&name=one" || body["schema"] != "/v2/schemas/images" {
				t.Fatalf("%v", body)
			}
			next, _ = body["next"].(string)
			if next != "" {
				u, err := url.Parse(next)
				if err != nil || u.Query().Get("limit") != "3" || u.Query().Get("name") != "one" {
					t.Fatalf("next is %q", next)
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestVisibilityAndMembers(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		g := newGlance(t, d, nil)
		id := g.image("alice", nil)
		path := "/v2/images/" + id
		members := path + "/members"
		g.do("bob", "GET", path, nil).expect(http.StatusNotFound)
		g.do("bob", "POST", members, fields{"member": "bob-project"}).expect(http.StatusNotFound)
		for _, body := range []any{"", "[]", fields{}, fields{"member": ""}, fields{"member": 1}} {
			g.do("alice", "POST", members, body).expect(http.StatusBadRequest)
		}
		m := g.do("alice", "POST", members, fields{"member": "bob-project"}).expect(http.StatusOK).json()
		want := fields{"image_id": id, "member_id": "bob-project", "status": "pending", "schema": "/v2/schemas/member",
			"created_at": "2026-05-01T12:00:00Z", "updated_at": "2026-05-01T12:00:00Z"}
		if diff := cmp.Diff(want, m); diff != "" {
			t.Fatal(diff)
		}
		g.do("alice", "POST", members, fields{"member": "bob-project"}).expect(http.StatusConflict)
		g.do("bob", "GET", path, nil).expect(http.StatusOK)
		if seen := g.do("bob", "GET", "/v2/images", nil).ids("images", "id"); len(seen) != 0 {
			t.Fatalf("an image that is only offered is listed: %v", seen)
		}
		if seen := g.do("bob", "GET", "/v2/images?member_status=pending&visibility=shared", nil).ids("images", "id"); len(seen) != 1 {
			t.Fatalf("offered images: %v", seen)
		}
		g.do("alice", "PUT", members+"/bob-project", fields{"status": "accepted"}).expect(http.StatusForbidden)
		g.do("bob", "PUT", members+"/bob-project", fields{"status": "maybe"}).expect(http.StatusBadRequest)
		g.do("bob", "PUT", members+"/bob-project", fields{}).expect(http.StatusBadRequest)
		g.do("bob", "PUT", members+"/bob-project", fields{"status": "accepted"}).expect(http.StatusOK)
		if seen := g.do("bob", "GET", "/v2/images", nil).ids("images", "id"); len(seen) != 1 {
			t.Fatalf("accepted images: %v", seen)
		}
		g.do("alice", "POST", members, fields{"member": "carol-project"}).expect(http.StatusOK)
		if seen := g.do("bob", "GET", members, nil).expect(http.StatusOK).ids("members", "member_id"); len(seen) != 1 {
			t.Fatalf("a member sees others: %v", seen)
		}
		if seen := g.do("alice", "GET", members, nil).expect(http.StatusOK).ids("members", "member_id"); len(seen) != 2 {
			t.Fatalf("the owner sees %v", seen)
		}
		g.do("bob", "GET", members+"/carol-project", nil).expect(http.StatusNotFound)
		g.do("bob", "DELETE", members+"/bob-project", nil).expect(http.StatusForbidden)
		g.do("bob", "POST", members, fields{"member": "dave-project"}).expect(http.StatusForbidden)
		g.do("alice", "DELETE", members+"/bob-project", nil).expect(http.StatusNoContent)
		g.do("bob", "GET", path, nil).expect(http.StatusNotFound)
		private := g.image("alice", fields{"visibility": "private"})
		g.do("alice", "POST", "/v2/images/"+private+"/members", fields{"member": "bob-project"}).expect(http.StatusForbidden)
		g.do("alice", "GET", "/v2/images/"+private+"/members/bob-project", nil).expect(http.StatusNotFound)
		community := g.image("alice", fields{"visibility": "community"})
		g.do("bob", "GET", "/v2/images/"+community, nil).expect(http.StatusOK)
		g.do("bob", "DELETE", "/v2/images/"+community, nil).expect(http.StatusForbidden)
		g.do("alice", "DELETE", path, nil).expect(http.StatusNoContent) // with a member left
	})
}

// What is foreign and what does not exist cannot be told apart.
func TestForeignIsMissing(t *testing.T) {
	g := newGlance(t, dbtest.One(t), nil)
	foreign, missing := g.image("alice", nil), "11111111-2222-4333-8444-555555555555"
	for _, c := range []struct{ method, path string }{{"GET", ""}, {"DELETE", ""}, {"GET", "/file"}, {"GET", "/members"}, {"PUT", "/tags/x"}, {"DELETE", "/tags/x"},
		{"POST", "/actions/deactivate"}, {"GET", "/tasks"}} {
		a := g.do("bob", c.method, "/v2/images/"+foreign+c.path, nil).expect(http.StatusNotFound)
		b := g.do("bob", c.method, "/v2/images/"+missing+c.path, nil).expect(http.StatusNotFound)
		if strings.ReplaceAll(string(a.body), foreign, missing) != string(b.body) {
			t.Errorf("%s %s: %s, %s", c.method, c.path, a.body, b.body)
		}
	}
}

func TestTagsProtectionDeactivation(t *testing.T) {
	g := newGlance(t, dbtest.One(t), nil)
	id := g.image("alice", fields{"protected": true, "tags": []string{"m"}})
	path := "/v2/images/" + id
	for _, tag := range []string{"z", "a", "a", "with%20blank"} {
		g.do("alice", "PUT", path+"/tags/"+tag, nil).expect(http.StatusNoContent)
	}
	g.do("alice", "DELETE", path+"/tags/m", nil).expect(http.StatusNoContent)
	g.do("alice", "DELETE", path+"/tags/m", nil).expect(http.StatusNotFound)
	g.do("alice", "PUT", path+"/tags/"+strings.Repeat("x", 256), nil).expect(http.StatusBadRequest)
	if diff := cmp.Diff([]any{"a", "with blank", "z"}, g.do("alice", "GET", path, nil).json()["tags"]); diff != "" {
		t.Fatal(diff)
	}
	g.do("alice", "DELETE", path, nil).expect(http.StatusForbidden)
	g.do("alice", "POST", path+"/actions/deactivate", nil).expect(http.StatusForbidden) // queued
	g.do("alice", "PUT", path+"/file", []byte("bytes")).expect(http.StatusNoContent)
	g.do("alice", "POST", path+"/actions/reactivate", nil).expect(http.StatusNoContent) // already
	for range 2 {
		g.do("alice", "POST", path+"/actions/deactivate", nil).expect(http.StatusNoContent)
	}
	g.do("alice", "GET", path+"/file", nil).expect(http.StatusForbidden)
	g.do("admin", "GET", path+"/file", nil).expect(http.StatusOK)
	g.do("alice", "POST", path+"/actions/reactivate", nil).expect(http.StatusNoContent)
	g.do("alice", "GET", path+"/file", nil).expect(http.StatusOK)
	g.patch("alice", id, []fields{{"op": "replace", "path": "/disk_format", "value": "iso"}}).expect(http.StatusForbidden)
	g.patch("alice", id, []fields{{"op": "replace", "path": "/protected", "value": false}}).expect(http.StatusOK)
	g.do("alice", "DELETE", path, nil).expect(http.StatusNoContent)
}

func TestDiscoveryAndErrors(t *testing.T) {
	g := newGlance(t, dbtest.One(t), nil)
	root := g.do("", "GET", "/", nil).expect(http.StatusMultipleChoices)
	if v := root.ids("versions", "id"); v[0] != "v2.17" || v[len(v)-1] != "v2.0" {
		t.Fatalf("versions %v", v)
	}
	g.do("", "GET", "/versions", nil).expect(http.StatusOK)
	g.do("", "GET", "/v2/", nil).expect(http.StatusOK)
	for _, s := range []string{"image", "images", "member", "members", "task", "tasks"} {
		if name := g.do("alice", "GET", "/v2/schemas/"+s, nil).expect(http.StatusOK).text("name"); name != s {
			t.Errorf("schema %s is named %s", s, name)
		}
	}
	g.do("alice", "GET", "/v2/info/import", nil).expect(http.StatusOK)
	g.do("alice", "GET", "/v2/info/usage", nil).expect(http.StatusOK)
	if ids := g.do("alice", "GET", "/v2/info/stores", nil).ids("stores", "id"); ids[0] != "file" {
		t.Errorf("stores %v", ids)
	}
	g.do("alice", "GET", "/v2/planned", nil).expect(http.StatusNotImplemented)
	g.do("admin", "GET", "/v2/tasks", nil).expect(http.StatusOK)
	g.do("alice", "GET", "/v2/tasks", nil).expect(http.StatusForbidden)
	page := g.do("alice", "GET", "/v2/images/nothing", nil).expect(http.StatusNotFound)
	if !strings.HasPrefix(page.header.Get("Content-Type"), "text/html") || !strings.Contains(string(page.body), "<h1>404 Not Found</h1>\n  No image found with ID nothing<br /><br />") {
		t.Fatalf("%s", page.body)
	}
	asked := g.do("alice", "GET", "/v2/images/nothing", nil, "Accept", "application/json").expect(http.StatusNotFound)
	if asked.text("code") != "404 Not Found" || asked.text("title") != "Not Found" {
		t.Fatalf("%s", asked.body)
	}
	if g.do("", "GET", "/v2/images", nil).expect(http.StatusUnauthorized).json()["error"] == nil {
		t.Fatal("the answer to no token is not Keystone's")
	}
	g.do("alice", "GET", "/v2/images/", nil).expect(http.StatusNotFound)
	hostile := g.do("alice", "GET", "/v2/images/%3Cscript%3E", nil).expect(http.StatusNotFound)
	if strings.Contains(string(hostile.body), "<script>") {
		t.Fatalf("markup came back: %s", hostile.body)
	}
}
