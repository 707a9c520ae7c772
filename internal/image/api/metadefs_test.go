package imageapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
)

func TestMetadataDefinitions(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		g := newGlance(t, d, nil)
		const all, one = "/v2/metadefs/namespaces", "/v2/metadefs/namespaces/OS::Compute"
		property := fields{"title": "Cores", "type": "integer", "minimum": 1}
		made := g.do("admin", "POST", all, fields{"namespace": "OS::Compute", "visibility": "public", "protected": true, "display_name": "Compute",
			"resource_type_associations": []fields{{"name": "OS::Nova::Flavor", "prefix": "hw_"}}, "tags": []fields{{"name": "t"}},
			"properties": fields{"cores": property}, "objects": []fields{{"name": "cpu", "properties": fields{"cores": property}}}}).expect(http.StatusCreated).json()
		want := fields{"namespace": "OS::Compute", "visibility": "public", "protected": true, "display_name": "Compute", "owner": "admin-project",
			"created_at": "2026-05-01T12:00:00Z", "updated_at": "2026-05-01T12:00:00Z", "self": one, "schema": "/v2/schemas/metadefs/namespace",
			"resource_type_associations": []any{fields{"name": "OS::Nova::Flavor", "prefix": "hw_", "created_at": "2026-05-01T12:00:00Z", "updated_at": "2026-05-01T12:00:00Z"}},
			"tags":                       []any{fields{"name": "t"}}, "properties": fields{"cores": fields{"title": "Cores", "type": "integer", "minimum": 1.0}},
			"objects": []any{fields{"name": "cpu", "properties": fields{"cores": fields{"title": "Cores", "type": "integer", "minimum": 1.0}}, "self": one + "/objects/cpu",
				"schema": "/v2/schemas/metadefs/object", "created_at": "2026-05-01T12:00:00Z", "updated_at": "2026-05-01T12:00:00Z"}}}
		if diff := cmp.Diff(want, made); diff != "" {
			t.Fatal(diff)
		}
		if diff := cmp.Diff(want, g.do("alice", "GET", one, nil).expect(http.StatusOK).json()); diff != "" {
			t.Fatal(diff)
		}
		g.do("admin", "POST", all, fields{"namespace": "OS::Compute"}).expect(http.StatusConflict)
		g.do("admin", "POST", all, fields{"namespace": "private one"}).expect(http.StatusCreated)
		g.do("alice", "GET", all+"/private%20one", nil).expect(http.StatusNotFound)
		if seen := g.do("alice", "GET", all, nil).expect(http.StatusOK).ids("namespaces", "namespace"); len(seen) != 1 {
			t.Fatalf("alice sees %v", seen)
		}
		if seen := g.do("admin", "GET", all+"?sort_key=namespace&sort_dir=asc&limit=1", nil); seen.ids("namespaces", "namespace")[0] != "OS::Compute" || seen.text("next") == "" {
			t.Fatalf("%s", seen.body)
		}
		if seen := g.do("admin", "GET", all+"?resource_types=OS::Nova::Flavor", nil).ids("namespaces", "namespace"); len(seen) != 1 {
			t.Fatalf("with the resource type: %v", seen)
		}
		g.do("admin", "GET", all+"?sort_key=colour", nil).expect(http.StatusBadRequest)
		g.do("alice", "POST", all, fields{"namespace": "mine"}).expect(http.StatusForbidden)
		g.do("alice", "DELETE", one, nil).expect(http.StatusForbidden)
		g.do("admin", "DELETE", one, nil).expect(http.StatusForbidden) // protected
		g.do("admin", "DELETE", one+"/tags/t", nil).expect(http.StatusForbidden)
		for _, body := range []any{"", "[]", fields{}, fields{"namespace": strings.Repeat("x", 81)}, fields{"namespace": "x", "colour": "red"},
			fields{"namespace": "x", "visibility": "shared"}, fields{"namespace": "x", "properties": fields{"p": fields{"title": "no type"}}},
			fields{"namespace": "x", "objects": []fields{{"description": "no name"}}}, fields{"namespace": "x", "protected": "yes"}} {
			g.do("admin", "POST", all, body).expect(http.StatusBadRequest)
		}
		g.do("admin", "POST", all, fields{"namespace": "x", "self": "y"}).expect(http.StatusForbidden)
		changed := g.do("admin", "PUT", one, fields{"namespace": "renamed", "visibility": "private", "protected": false}).expect(http.StatusOK).json()
		if changed["namespace"] != "renamed" || changed["visibility"] != "private" || changed["display_name"] != nil {
			t.Fatalf("%v", changed)
		}
		g.do("admin", "GET", one, nil).expect(http.StatusNotFound)
		g.do("alice", "GET", all+"/renamed", nil).expect(http.StatusNotFound)
		g.do("admin", "DELETE", all+"/renamed", nil).expect(http.StatusNoContent) // with all that it contains
		g.do("admin", "GET", all+"/renamed/tags", nil).expect(http.StatusNotFound)
	})
}

func TestMetadataDefinitionItems(t *testing.T) {
	g := newGlance(t, dbtest.One(t), nil)
	const one = "/v2/metadefs/namespaces/n"
	g.do("admin", "POST", "/v2/metadefs/namespaces", fields{"namespace": "n", "visibility": "public"}).expect(http.StatusCreated)
	for _, c := range []struct {
		path       string
		good, next fields
	}{
		{"objects", fields{"name": "a", "description": "one"}, fields{"name": "b", "required": []string{"x"}}},
		{"properties", fields{"name": "a", "title": "A", "type": "string", "enum": []string{"x"}}, fields{"name": "b", "title": "B", "type": "boolean"}},
	} {
		path := one + "/" + c.path
		g.do("admin", "POST", path, c.good).expect(http.StatusCreated)
		g.do("admin", "POST", path, c.good).expect(http.StatusConflict)
		g.do("admin", "POST", path, fields{}).expect(http.StatusBadRequest)
		g.do("alice", "POST", path, c.good).expect(http.StatusForbidden)
		if got := g.do("alice", "GET", path+"/a", nil).expect(http.StatusOK).text("name"); got != "a" {
			t.Fatalf("%s: %s", c.path, got)
		}
		g.do("admin", "PUT", path+"/a", c.next).expect(http.StatusOK)
		g.do("admin", "GET", path+"/a", nil).expect(http.StatusNotFound)
		g.do("admin", "GET", path, nil).expect(http.StatusOK)
		g.do("admin", "DELETE", path+"/b", nil).expect(http.StatusNoContent)
		g.do("admin", "DELETE", path+"/b", nil).expect(http.StatusNotFound)
		g.do("admin", "POST", path, c.good).expect(http.StatusCreated)
		g.do("admin", "DELETE", path, nil).expect(http.StatusNoContent)
		g.do("admin", "GET", path+"/a", nil).expect(http.StatusNotFound)
	}
	g.do("admin", "POST", one+"/properties", fields{"name": "a", "title": "A", "type": "colour"}).expect(http.StatusBadRequest)
	tags := one + "/tags"
	g.do("admin", "POST", tags, fields{"tags": []fields{{"name": "a"}, {"name": "b"}}}).expect(http.StatusCreated)
	g.do("admin", "POST", tags, fields{"tags": []fields{{"name": "c"}}}, "X-Openstack-Append", "true").expect(http.StatusCreated)
	if got := g.do("alice", "GET", tags, nil).ids("tags", "name"); len(got) != 3 {
		t.Fatalf("tags %v", got)
	}
	g.do("admin", "POST", tags, fields{"tags": []fields{{"name": "d"}}}).expect(http.StatusCreated)
	g.do("admin", "POST", tags+"/e", nil).expect(http.StatusCreated)
	g.do("admin", "PUT", tags+"/e", fields{"name": "f"}).expect(http.StatusOK)
	if got := g.do("alice", "GET", tags, nil).ids("tags", "name"); len(got) != 2 {
		t.Fatalf("tags %v", got)
	}
	g.do("admin", "POST", one+"/resource_types", fields{"name": "My::Type", "prefix": "p_"}).expect(http.StatusCreated)
	if got := g.do("alice", "GET", one+"/resource_types", nil).ids("resource_type_associations", "name"); len(got) != 1 {
		t.Fatalf("associations %v", got)
	}
	if got := g.do("alice", "GET", "/v2/metadefs/resource_types", nil).ids("resource_types", "name"); len(got) != 7 {
		t.Fatalf("resource types %v", got)
	}
	g.do("admin", "DELETE", one+"/resource_types/My::Type", nil).expect(http.StatusNoContent)
}
