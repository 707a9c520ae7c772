package identityapi

import (
	"slices"
	"testing"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/identity"
)

func TestPoliciesOfEndpoints(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := serve(t, d, identity.Compliance{})
		policy := func(name string) string {
			return k.make("policy", "policies", obj{"type": "application/json", "blob": name, "note": "n"})
		}
		own, place, all := policy("own"), policy("place"), policy("all")
		k.do(k.admin, "POST", "/v3/policies", obj{"policy": obj{"type": "x"}}).expect(400)
		if a := k.do(k.admin, "PATCH", "/v3/policies/"+own, obj{"policy": obj{"blob": "mine", "note": nil}}).expect(200); a.text("policy.blob") != "mine" || a.at("policy.note") != nil {
			t.Errorf("policy %s", a.raw)
		}
		if got := k.do(k.admin, "GET", "/v3/policies?type=application/json", nil).expect(200).all("policies", "id"); len(got) != 3 {
			t.Errorf("policies %v", got)
		}
		k.make("region", "regions", obj{"id": "inner", "parent_region_id": "RegionOne"})
		service := k.make("service", "services", obj{"type": "t", "name": "n"})
		endpoint := k.make("endpoint", "endpoints", obj{"service_id": service, "interface": "public", "url": "http://x", "region_id": "inner"})
		under := func() string {
			a := k.do(k.admin, "GET", "/v3/endpoints/"+endpoint+"/OS-ENDPOINT-POLICY/policy", nil)
			if a.status == 404 {
				return ""
			}
			return a.expect(200).text("policy.id")
		}
		ties := []struct{ policy, path string }{{all, "/services/" + service}, {place, "/services/" + service + "/regions/RegionOne"}, {own, "/endpoints/" + endpoint}}
		for _, tie := range ties { // the nearer one wins
			path := "/v3/policies/" + tie.policy + "/OS-ENDPOINT-POLICY" + tie.path
			k.do(k.admin, "GET", path, nil).expect(404)
			k.do(k.admin, "PUT", path, nil).expect(204)
			k.do(k.admin, "GET", path, nil).expect(204)
			if got := under(); got != tie.policy {
				t.Errorf("%s: the endpoint is under %q", tie.path, got)
			}
			if got := k.do(k.admin, "GET", "/v3/policies/"+tie.policy+"/OS-ENDPOINT-POLICY/endpoints", nil).expect(200).all("endpoints", "id"); !slices.Equal(got, []string{endpoint}) {
				t.Errorf("endpoints of the policy of %s: %v", tie.path, got)
			}
		}
		k.do(k.admin, "PUT", "/v3/policies/"+all+"/OS-ENDPOINT-POLICY/endpoints/"+endpoint, nil).expect(204) // replaces
		k.do(k.admin, "GET", "/v3/policies/"+own+"/OS-ENDPOINT-POLICY/endpoints/"+endpoint, nil).expect(404)
		k.do(k.admin, "DELETE", "/v3/policies/"+all+"/OS-ENDPOINT-POLICY/endpoints/"+endpoint, nil).expect(204)
		if got := under(); got != place {
			t.Errorf("after the association was deleted: %q", got)
		}
		for _, p := range []string{place, all} {
			k.do(k.admin, "DELETE", "/v3/policies/"+p, nil).expect(204)
		}
		if got := under(); got != "" {
			t.Errorf("a deleted policy still holds: %q", got)
		}
		for _, path := range []string{"/services/none", "/services/" + service + "/regions/none", "/endpoints/none"} {
			k.do(k.admin, "PUT", "/v3/policies/"+own+"/OS-ENDPOINT-POLICY"+path, nil).expect(404)
		}
	})
}

func TestProjectsSeeTheEndpointsTheyWereGiven(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := serve(t, d, identity.Compliance{})
		project := k.do(k.admin, "GET", "/v3/projects?name=demo", nil).text("projects.0.id")
		token := k.login("demo", "demo-pw", onProject("demo"))
		catalog := func() []string {
			return k.do(token, "GET", "/v3/auth/catalog", nil).expect(200).all("catalog", "type")
		}
		if got := catalog(); len(got) != 2 {
			t.Fatalf("catalog %v", got)
		}
		service := k.do(k.admin, "GET", "/v3/services?type=object-store", nil).text("services.0.id")
		var endpoint string
		for _, e := range k.do(k.admin, "GET", "/v3/endpoints?service_id="+service+"&interface=public", nil).all("endpoints", "id") {
			endpoint = e
		}
		given := "/v3/OS-EP-FILTER/projects/" + project + "/endpoints/" + endpoint
		k.do(k.admin, "GET", given, nil).expect(404)
		k.do(k.admin, "PUT", given, nil).expect(204)
		k.do(k.admin, "PUT", given, nil).expect(409)
		k.do(k.admin, "HEAD", given, nil).expect(204)
		if got := catalog(); !slices.Equal(got, []string{"object-store"}) {
			t.Errorf("with one endpoint the catalog is %v", got)
		}
		if got := k.do(k.admin, "GET", "/v3/OS-EP-FILTER/endpoints/"+endpoint+"/projects", nil).expect(200).all("projects", "id"); !slices.Equal(got, []string{project}) {
			t.Errorf("projects of the endpoint: %v", got)
		}
		const groups = "/v3/OS-EP-FILTER/endpoint_groups"
		k.do(k.admin, "POST", groups, obj{"endpoint_group": obj{"name": "g", "filters": obj{"colour": "red"}}}).expect(400)
		k.do(k.admin, "POST", groups, obj{"endpoint_group": obj{"name": "g", "filters": obj{}}}).expect(400)
		group := k.make("endpoint_group", "OS-EP-FILTER/endpoint_groups", obj{"name": "g", "filters": obj{"interface": "internal"}})
		identityService := k.do(k.admin, "GET", "/v3/services?type=identity", nil).text("services.0.id")
		if a := k.do(k.admin, "PATCH", groups+"/"+group, obj{"endpoint_group": obj{"filters": obj{"service_id": identityService}}}).expect(200); a.text("endpoint_group.filters.service_id") != identityService || a.text("endpoint_group.name") != "g" {
			t.Errorf("group %s", a.raw)
		}
		inProject := groups + "/" + group + "/projects/" + project
		k.do(k.admin, "PUT", inProject, nil).expect(204)
		if a := k.do(k.admin, "GET", inProject, nil).expect(200); a.text("project_endpoint_group.project_id") != project {
			t.Errorf("association %s", a.raw)
		}
		if got := catalog(); len(got) != 2 {
			t.Errorf("with a group too the catalog is %v", got)
		}
		for path, want := range map[string]struct{ many, id string }{groups + "/" + group + "/projects": {"projects", project},
			"/v3/OS-EP-FILTER/projects/" + project + "/endpoint_groups": {"endpoint_groups", group}, groups + "?name=g": {"endpoint_groups", group}} {
			if got := k.do(k.admin, "GET", path, nil).expect(200).all(want.many, "id"); !slices.Equal(got, []string{want.id}) {
				t.Errorf("%s: %v", path, got)
			}
		}
		own := k.do(k.admin, "GET", "/v3/OS-EP-FILTER/projects/"+project+"/endpoints", nil).expect(200).all("endpoints", "id")
		ofGroup := k.do(k.admin, "GET", groups+"/"+group+"/endpoints", nil).expect(200).all("endpoints", "id")
		if len(own) != len(ofGroup)+1 || len(ofGroup) == 0 {
			t.Errorf("%d endpoints of the project, %d of the group", len(own), len(ofGroup))
		}
		k.do(k.admin, "DELETE", inProject, nil).expect(204)
		k.do(k.admin, "DELETE", inProject, nil).expect(404)
		k.do(k.admin, "DELETE", groups+"/"+group, nil).expect(204)
		k.do(k.admin, "DELETE", given, nil).expect(204)
		if got := catalog(); len(got) != 2 {
			t.Errorf("without filters the catalog is %v", got)
		}
	})
}

func TestOptionsOfDomains(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := serve(t, d, identity.Compliance{})
		domain := k.make("domain", "domains", obj{"name": "own"})
		config := "/v3/domains/" + domain + "/config"
		k.do(k.admin, "GET", config, nil).expect(404)
		for _, bad := range []obj{{}, {"ldap": obj{}}, {"ldap": obj{"colour": 1}}, {"colour": obj{"a": 1}}, {"ldap": "x"}} {
			k.do(k.admin, "PUT", config, obj{"config": bad}).expect(403)
		}
		set := obj{"config": obj{"ldap": obj{"url": "ldap://x", "password": "geheim", "page_size": 3}, "identity": obj{"driver": "ldap"}}}
		a := k.do(k.admin, "PUT", config, set).expect(201)
		if a.text("config.ldap.url") != "ldap://x" || a.at("config.ldap.password") != nil {
			t.Errorf("options %s", a.raw)
		}
		k.do(k.admin, "PUT", config, set).expect(200)
		k.do(k.admin, "GET", config+"/ldap/password", nil).expect(404)
		k.do(k.admin, "PATCH", config+"/ldap/password", obj{"config": obj{"password": "neu"}}).expect(200)
		if a := k.do(k.admin, "GET", config+"/ldap/page_size", nil).expect(200); a.at("config.page_size") != 3.0 {
			t.Errorf("option %s", a.raw)
		}
		a = k.do(k.admin, "PATCH", config+"/ldap", obj{"config": obj{"ldap": obj{"user": "cn=me"}}}).expect(200)
		if a.text("config.ldap.user") != "cn=me" || a.text("config.ldap.url") != "ldap://x" || a.text("config.identity.driver") != "ldap" {
			t.Errorf("options %s", a.raw)
		}
		k.do(k.admin, "PATCH", config+"/ldap", obj{"config": obj{"ldap": obj{"user": "x"}, "identity": obj{"driver": "sql"}}}).expect(403)
		k.do(k.admin, "PATCH", config+"/ldap/suffix", obj{"config": obj{"suffix": "x"}}).expect(404) // never set
		k.do(k.admin, "PATCH", config+"/ldap/url", obj{"config": obj{"user": "x"}}).expect(403)
		k.do(k.admin, "DELETE", config+"/ldap/suffix", nil).expect(404)
		k.do(k.admin, "DELETE", config+"/ldap/user", nil).expect(204)
		k.do(k.admin, "DELETE", config+"/ldap", nil).expect(204)
		if a := k.do(k.admin, "GET", config, nil).expect(200); a.at("config.ldap") != nil || a.text("config.identity.driver") != "ldap" {
			t.Errorf("options %s", a.raw)
		}
		k.do(k.admin, "DELETE", config, nil).expect(204)
		k.do(k.admin, "GET", config, nil).expect(404)
		if a := k.do(k.admin, "GET", "/v3/domains/config/default", nil).expect(200); a.text("config.identity.driver") != "sql" || a.at("config.ldap.password") != nil {
			t.Errorf("defaults %s", a.raw)
		}
		k.do(k.admin, "GET", "/v3/domains/config/ldap/default", nil).expect(200)
		if a := k.do(k.admin, "GET", "/v3/domains/config/ldap/url/default", nil).expect(200); a.text("config.url") != "ldap://localhost" {
			t.Errorf("default %s", a.raw)
		}
		k.do(k.admin, "GET", "/v3/domains/config/ldap/password/default", nil).expect(403)
		k.do(k.admin, "GET", "/v3/domains/none/config", nil).expect(404)
	})
}
