package identityapi

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
)

const federated = "/v3/OS-FEDERATION"

// aMapping maps one claim to a name.
func aMapping(claim string) obj {
	return obj{"rules": []obj{{"local": []obj{{"user": obj{"name": "{0}"}}}, "remote": []obj{{"type": claim}}}}}
}

// put makes something federated as the administrator.
func (k *keystone) put(one, path string, body obj) *answer {
	k.Helper()
	return k.do(k.admin, "PUT", federated+path, obj{one: body})
}

func (a *answer) same(path string, want any) *answer {
	a.Helper()
	if got := a.at(path); !reflect.DeepEqual(got, want) {
		a.Errorf("%s is %v, want %v: %s", path, got, want, a.raw)
	}
	return a
}

func TestIdentityProviders(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := serve(t, d, identity.Compliance{})
		const all, one = federated + "/identity_providers", federated + "/identity_providers/acme"
		a := k.put("identity_provider", "/identity_providers/acme", obj{}).expect(201)
		a.same("identity_provider.id", "acme").same("identity_provider.enabled", false).same("identity_provider.description", nil).
			same("identity_provider.authorization_ttl", nil).same("identity_provider.remote_ids", []any{}).
			same("identity_provider.links.self", k.url+"/identity"+one).same("identity_provider.links.protocols", k.url+"/identity"+one+"/protocols")
		domain := a.text("identity_provider.domain_id")
		k.do(k.admin, "GET", "/v3/domains/"+domain, nil).expect(200).same("domain.name", domain).same("domain.enabled", true).
			same("domain.description", "Auto generated federated domain for Identity Provider: acme")
		domains := func() int { return len(k.do(k.admin, "GET", "/v3/domains", nil).expect(200).all("domains", "id")) }
		before := domains()
		if a := k.put("identity_provider", "/identity_providers/acme", obj{}).expect(409); !strings.Contains(a.text("error.message"), "Duplicate entry: acme") {
			t.Errorf("%s", a.raw)
		}
		own := k.make("domain", "domains", obj{"name": "own"})
		k.put("identity_provider", "/identity_providers/b%20ä", obj{"domain_id": own, "enabled": true, "description": "B", "authorization_ttl": 0,
			"remote_ids": []string{"urn:b", "https://b.example/idp"}}).expect(201).same("identity_provider.domain_id", own).same("identity_provider.id", "b ä").
			same("identity_provider.remote_ids", []any{"https://b.example/idp", "urn:b"}).same("identity_provider.authorization_ttl", 0.0).
			same("identity_provider.links.self", k.url+"/identity"+all+"/b%20%C3%A4")
		k.do(k.admin, "GET", all+"/b%20%C3%A4", nil).expect(200).same("identity_provider.remote_ids", []any{"https://b.example/idp", "urn:b"})
		k.put("identity_provider", "/identity_providers/c", obj{"domain_id": own, "remote_ids": nil, "description": nil, "authorization_ttl": nil}).expect(201)
		k.put("identity_provider", "/identity_providers/d", obj{"domain_id": "none"}).expect(404)
		project := k.do(k.admin, "GET", "/v3/projects?name=demo", nil).text("projects.0.id")
		k.put("identity_provider", "/identity_providers/d", obj{"domain_id": project}).expect(404)
		for _, bad := range []obj{{"colour": "red"}, {"enabled": "maybe"}, {"enabled": nil}, {"authorization_ttl": -1}, {"authorization_ttl": "x"}, {"authorization_ttl": 1e9},
			{"remote_ids": "urn:d"}, {"remote_ids": []string{"urn:d", "urn:d"}}, {"remote_ids": []string{""}}, {"remote_ids": []any{1}},
			{"remote_ids": []string{strings.Repeat("x", 256)}}, {"remote_ids": []string{"a\nb"}}, {"description": 5}, {"id": "other"}, {"domain_id": "a b"}} {
			k.put("identity_provider", "/identity_providers/d", bad).expect(400)
		}
		for _, path := range []string{"/identity_providers/" + strings.Repeat("x", 65), "/identity_providers/a%0Ab", "/identity_providers/%20"} {
			k.put("identity_provider", path, obj{}).expect(400)
		}
		k.do(k.admin, "PUT", all+"/d", obj{"provider": obj{}}).expect(400)
		k.do(k.admin, "PUT", all+"/d", "{").expect(400)
		if n := domains(); n != before+1 {
			t.Errorf("%d domains, want %d: what is refused leaves none", n, before+1)
		}
		list := func(query string) []string {
			t.Helper()
			k.do(k.admin, "HEAD", all+query, nil).expect(200)
			return k.do(k.admin, "GET", all+query, nil).expect(200).all("identity_providers", "id")
		}
		for query, want := range map[string][]string{"": {"acme", "b ä", "c"}, "?id=c": {"c"}, "?enabled=true": {"b ä"}, "?enabled=False": {"acme", "c"},
			"?id=acme&enabled=true": {}, "?id__contains=m": {"acme"}, "?limit=2": {"acme", "b ä"}, "?limit=2&marker=b%20ä": {"c"}, "?colour=red": {"acme", "b ä", "c"}} {
			if got := list(query); !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", query, got, want)
			}
		}
		k.do(k.admin, "GET", all, nil).expect(200).same("identity_providers.1.remote_ids", []any{"https://b.example/idp", "urn:b"}).
			same("identity_providers.0.remote_ids", []any{}).same("identity_providers.0.links.protocols", k.url+"/identity"+one+"/protocols")

		patch := func(body obj) *answer { return k.do(k.admin, "PATCH", one, obj{"identity_provider": body}) }
		patch(obj{"enabled": true, "remote_ids": []string{"urn:a"}, "authorization_ttl": 60, "description": "A"}).expect(200).same("identity_provider.enabled", true)
		patch(obj{"description": nil}).expect(200).same("identity_provider.remote_ids", []any{"urn:a"}).same("identity_provider.authorization_ttl", 60.0).
			same("identity_provider.enabled", true).same("identity_provider.description", nil).same("identity_provider.domain_id", domain)
		for _, bad := range []obj{{}, {"domain_id": own}, {"domain_id": nil}, {"id": "b"}, {"colour": 1}, {"authorization_ttl": -1}} {
			patch(bad).expect(400)
		}
		if a := patch(obj{"remote_ids": []string{"urn:c", "urn:b"}}).expect(409); !strings.Contains(a.text("error.message"), "Duplicate remote ID: urn:b") {
			t.Errorf("%s", a.raw)
		}
		k.do(k.admin, "GET", one, nil).expect(200).same("identity_provider.remote_ids", []any{"urn:a"})
		patch(obj{"remote_ids": []string{}, "authorization_ttl": nil}).expect(200).same("identity_provider.remote_ids", []any{}).same("identity_provider.authorization_ttl", nil)
		k.do(k.admin, "PATCH", all+"/none", obj{"identity_provider": obj{"enabled": true}}).expect(404).
			same("error.message", "Could not find Identity Provider: none.")

		k.do(k.admin, "DELETE", all+"/b%20%C3%A4", nil).expect(204)
		k.do(k.admin, "DELETE", all+"/b%20%C3%A4", nil).expect(404)
		k.do(k.admin, "GET", "/v3/domains/"+own, nil).expect(200)
		patch(obj{"remote_ids": []string{"urn:b"}}).expect(200) // free again
		k.do(k.admin, "PATCH", "/v3/domains/"+own, obj{"domain": obj{"enabled": false}}).expect(200)
		k.do(k.admin, "DELETE", "/v3/domains/"+own, nil).expect(204)
		if got := list(""); !slices.Equal(got, []string{"acme"}) {
			t.Errorf("after their domain was deleted: %v", got)
		}
		found, err := k.service.identityProviders.ByRemoteID(context.Background(), "urn:b")
		if err != nil || found.ID != "acme" {
			t.Errorf("by remote id: %+v, %v", found, err)
		}
		if _, err := k.service.identityProviders.ByRemoteID(context.Background(), "urn:none"); !fault.Is(err, fault.NotFound) {
			t.Errorf("by an unknown remote id: %v", err)
		}
	})
}

func TestProtocols(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := serve(t, d, identity.Compliance{})
		for _, m := range []string{"m1", "m2"} {
			k.put("mapping", "/mappings/"+m, aMapping(m)).expect(201)
		}
		for _, idp := range []string{"acme", "other"} {
			k.put("identity_provider", "/identity_providers/"+idp, obj{}).expect(201)
		}
		const all, one = federated + "/identity_providers/acme/protocols", federated + "/identity_providers/acme/protocols/saml2"
		add := func(path string, body obj) *answer { return k.do(k.admin, "PUT", path, obj{"protocol": body}) }
		add(one, obj{"mapping_id": "m1"}).expect(201).same("protocol.id", "saml2").same("protocol.mapping_id", "m1").same("protocol.links.self", k.url+"/identity"+one).
			same("protocol.links.identity_provider", k.url+"/identity"+federated+"/identity_providers/acme")
		add(one, obj{"mapping_id": "m1"}).expect(409)
		add(federated+"/identity_providers/other/protocols/saml2", obj{"mapping_id": "m2"}).expect(201)
		add(all+"/openid", obj{"mapping_id": "m2", "remote_id_attribute": "HTTP_OIDC_ISS"}).expect(201).same("protocol.remote_id_attribute", "HTTP_OIDC_ISS")
		add(federated+"/identity_providers/none/protocols/saml2", obj{"mapping_id": "m1"}).expect(404)
		for _, bad := range []obj{{}, {"mapping_id": ""}, {"mapping_id": nil}, {"mapping_id": 1}, {"mapping_id": "none"}, {"mapping_id": strings.Repeat("m", 65)},
			{"mapping_id": "m1", "colour": "red"}, {"mapping_id": "m1", "remote_id_attribute": strings.Repeat("x", 65)}} {
			add(all+"/x", bad).expect(400)
		}
		add(all+"/"+strings.Repeat("x", 65), obj{"mapping_id": "m1"}).expect(400)
		add(all+"/x", obj{"mapping_id": "none"}).expect(400).same("error.message", "Invalid mapping id: none")
		k.do(k.admin, "GET", one, nil).expect(200).same("protocol.mapping_id", "m1")
		k.do(k.admin, "GET", all+"/none", nil).expect(404).same("error.message", "Could not find federated protocol none for Identity Provider: acme.")
		k.do(k.admin, "GET", federated+"/identity_providers/other/protocols/openid", nil).expect(404) // not of this provider
		k.do(k.admin, "HEAD", all, nil).expect(200)
		a := k.do(k.admin, "GET", all, nil).expect(200).same("protocols.0.idp_id", "acme").same("protocols.0.remote_id_attribute", "HTTP_OIDC_ISS").
			same("protocols.1.remote_id_attribute", nil).same("links.next", nil)
		if got := a.all("protocols", "id"); !slices.Equal(got, []string{"openid", "saml2"}) {
			t.Errorf("protocols %v", got)
		}
		k.do(k.admin, "GET", federated+"/identity_providers/none/protocols", nil).expect(200).same("protocols", []any{})

		patch := func(path string, body obj) *answer {
			return k.do(k.admin, "PATCH", path, obj{"protocol": body})
		}
		patch(one, obj{"mapping_id": "m2"}).expect(200).same("protocol.mapping_id", "m2")
		patch(one, obj{"mapping_id": "m1", "remote_id_attribute": "HTTP_OTHER"}).expect(200)
		patch(one, obj{"mapping_id": "m2"}).expect(200).same("protocol.remote_id_attribute", "HTTP_OTHER")
		patch(one, obj{"mapping_id": "none"}).expect(400)
		patch(one, obj{"remote_id_attribute": "x"}).expect(400)
		patch(one, obj{"mapping_id": "m1", "remote_id_attribute": nil}).expect(400)
		patch(all+"/none", obj{"mapping_id": "m1"}).expect(404)
		k.do(k.admin, "GET", federated+"/identity_providers/other/protocols/saml2", nil).expect(200).same("protocol.mapping_id", "m2")

		k.do(k.admin, "DELETE", federated+"/mappings/m2", nil).expect(204) // upstream asks no protocol
		k.do(k.admin, "GET", one, nil).expect(200).same("protocol.mapping_id", "m2")
		k.do(k.admin, "DELETE", federated+"/identity_providers/other/protocols/openid", nil).expect(404)
		k.do(k.admin, "DELETE", all+"/openid", nil).expect(204)
		k.do(k.admin, "DELETE", all+"/openid", nil).expect(404)
		k.do(k.admin, "DELETE", federated+"/identity_providers/acme", nil).expect(204)
		k.do(k.admin, "GET", one, nil).expect(404)
		k.put("identity_provider", "/identity_providers/acme", obj{}).expect(201)
		k.do(k.admin, "GET", all, nil).expect(200).same("protocols", []any{}) // they went with the provider
	})
}

func TestMappings(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := serve(t, d, identity.Compliance{})
		const one = federated + "/mappings/m"
		a := k.put("mapping", "/mappings/m", aMapping("UserName")).expect(201).same("mapping.id", "m").same("mapping.schema_version", "1.0").
			same("mapping.links.self", k.url+"/identity"+one)
		rules := a.at("mapping.rules")
		k.do(k.admin, "GET", one, nil).expect(200).same("mapping.rules", rules).same("mapping.rules.0.remote.0.type", "UserName")
		if a := k.put("mapping", "/mappings/m", aMapping("UserName")).expect(409); !strings.Contains(a.text("error.message"), "Duplicate entry found with ID m") {
			t.Errorf("%s", a.raw)
		}
		v3 := obj{"schema_version": "3.0", "rules": []obj{{"local": []obj{{"projects_json": "{0}"}}, "remote": []obj{{"type": "P"}}}}}
		k.put("mapping", "/mappings/v3", v3).expect(201).same("mapping.schema_version", "3.0")
		k.put("mapping", "/mappings/null", obj{"schema_version": nil, "rules": aMapping("x")["rules"]}).expect(201).same("mapping.schema_version", "1.0")
		if got := k.do(k.admin, "GET", federated+"/mappings", nil).expect(200).same("mappings.1.rules", rules0(t, k, "/mappings/null")).all("mappings", "id"); !slices.Equal(got, []string{"m", "null", "v3"}) {
			t.Errorf("mappings %v", got)
		}
		k.do(k.admin, "HEAD", federated+"/mappings", nil).expect(200)
		for _, bad := range []struct {
			body obj
			say  string
		}{{obj{}, "'rules' is a required property"}, {obj{"rules": nil}, "rules: is not of type 'array'"}, {obj{"rules": []obj{}}, "at least one rule"},
			{obj{"rules": aMapping("x")["rules"], "schema_version": "9.9"}, "schema_version '9.9'"}, {obj{"rules": aMapping("x")["rules"], "colour": 1}, "colour"},
			{obj{"rules": v3["rules"]}, "'projects_json' was unexpected"}, {obj{"rules": aMapping("x")["rules"], "id": "other"}, "Cannot change mapping ID"},
			{obj{"rules": []obj{{"local": []obj{}, "remote": []obj{{"type": "a", "any_one_of": []string{"(?!x)"}, "regex": true}}}}}, "not a regular expression"}} {
			for _, method := range []string{"PUT", "PATCH"} {
				path := map[string]string{"PUT": federated + "/mappings/bad", "PATCH": one}[method]
				if a := k.do(k.admin, method, path, obj{"mapping": bad.body}).expect(400); !strings.Contains(a.text("error.message"), bad.say) {
					t.Errorf("%s %v: %s", method, bad.body, a.raw)
				}
			}
		}
		k.put("mapping", "/mappings/"+strings.Repeat("x", 65), aMapping("x")).expect(400)
		k.do(k.admin, "PUT", federated+"/mappings/bad", `{"mapping":{"rules":["`+"\xff"+`"]}}`).expect(400)

		ctx := context.Background()
		compiled := func() any {
			t.Helper()
			r, err := k.service.federation.mappings.Rules(ctx, "m")
			k.must(err)
			return r
		}
		first := compiled()
		if compiled() != first {
			t.Error("the same rules are compiled twice")
		}
		k.do(k.admin, "PATCH", one, obj{"mapping": obj{"rules": v3["rules"], "schema_version": "3.0"}}).expect(200).same("mapping.schema_version", "3.0")
		if compiled() == first {
			t.Error("rules that were changed are applied")
		}
		k.do(k.admin, "PATCH", one, obj{"mapping": aMapping("Mail")}).expect(200).same("mapping.schema_version", "1.0") // upstream's default, not what it was
		r, err := k.service.federation.mappings.Rules(ctx, "m")
		k.must(err)
		if who, err := r.Apply(map[string][]string{"Mail": {"a;b"}}); err != nil || who.User.Name != "a;b" {
			t.Errorf("applied: %+v, %v", who, err)
		}
		k.do(k.admin, "PATCH", federated+"/mappings/none", obj{"mapping": aMapping("x")}).expect(404).same("error.message", "Could not find mapping: none.")
		k.do(k.admin, "DELETE", one, nil).expect(204)
		k.do(k.admin, "DELETE", one, nil).expect(404)
		k.do(k.admin, "GET", one, nil).expect(404)
		if _, err := k.service.federation.mappings.Rules(ctx, "m"); !fault.Is(err, fault.NotFound) {
			t.Errorf("rules of a deleted mapping: %v", err)
		}
	})
}

func rules0(t *testing.T, k *keystone, path string) any {
	t.Helper()
	return k.do(k.admin, "GET", federated+path, nil).expect(200).at("mapping.rules")
}

func TestServiceProviders(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := serve(t, d, identity.Compliance{})
		const all, one = federated + "/service_providers", federated + "/service_providers/sp"
		urls := func(more obj) obj {
			out := obj{"auth_url": "https://b.example/v3/auth", "sp_url": "https://b.example/ecp"}
			for name, v := range more {
				out[name] = v
			}
			return out
		}
		enabled := func() []string {
			t.Helper()
			list, err := k.service.serviceProviders.Enabled(context.Background())
			k.must(err)
			out := []string{}
			for _, p := range list {
				out = append(out, p.ID+" "+p.SPURL)
			}
			return out
		}
		if got := enabled(); len(got) != 0 {
			t.Errorf("enabled %v", got)
		}
		k.put("service_provider", "/service_providers/sp", urls(nil)).expect(201).same("service_provider.enabled", false).same("service_provider.description", nil).
			same("service_provider.relay_state_prefix", "ss:mem:").same("service_provider.auth_url", "https://b.example/v3/auth").
			same("service_provider.id", "sp").same("service_provider.links.self", k.url+"/identity"+one)
		k.put("service_provider", "/service_providers/sp", urls(nil)).expect(409)
		k.put("service_provider", "/service_providers/two", urls(obj{"enabled": true, "description": "2", "relay_state_prefix": "x:"})).expect(201).
			same("service_provider.relay_state_prefix", "x:").same("service_provider.description", "2")
		k.put("service_provider", "/service_providers/three", urls(obj{"relay_state_prefix": nil})).expect(201).same("service_provider.relay_state_prefix", "ss:mem:")
		for _, bad := range []obj{{"auth_url": nil}, {"auth_url": "no address"}, {"sp_url": ""}, {"sp_url": "https:" + strings.Repeat("x", 225)}, {"colour": 1},
			{"enabled": "maybe"}, {"relay_state_prefix": 1}, {"relay_state_prefix": strings.Repeat("x", 257)}, {"relay_state_prefix": "a\nb"}, {"auth_url": "https://x\ny"}, {"sp_url": "https://x y"}, {"id": "other"}} {
			k.put("service_provider", "/service_providers/bad", urls(bad)).expect(400)
		}
		for _, missing := range []string{"auth_url", "sp_url"} {
			body := urls(nil)
			delete(body, missing)
			k.put("service_provider", "/service_providers/bad", body).expect(400).same("error.message", "'"+missing+"' is a required property")
		}
		if got := enabled(); !slices.Equal(got, []string{"two https://b.example/ecp"}) {
			t.Errorf("enabled %v", got)
		}
		for query, want := range map[string][]string{"": {"sp", "three", "two"}, "?enabled=true": {"two"}, "?id=sp": {"sp"}, "?id__startswith=t": {"three", "two"}} {
			if got := k.do(k.admin, "GET", all+query, nil).expect(200).all("service_providers", "id"); !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", query, got, want)
			}
		}
		patch := func(body obj) *answer { return k.do(k.admin, "PATCH", one, obj{"service_provider": body}) }
		patch(obj{"enabled": true, "sp_url": "https://c.example/ecp"}).expect(200).same("service_provider.auth_url", "https://b.example/v3/auth").
			same("service_provider.sp_url", "https://c.example/ecp")
		if got := enabled(); !slices.Equal(got, []string{"sp https://c.example/ecp", "two https://b.example/ecp"}) {
			t.Errorf("enabled %v", got)
		}
		for _, bad := range []obj{{}, {"id": "x"}, {"colour": 1}, {"auth_url": ""}} {
			patch(bad).expect(400)
		}
		k.do(k.admin, "PATCH", all+"/none", obj{"service_provider": obj{"enabled": true}}).expect(404).same("error.message", "Could not find Service Provider: none.")
		k.do(k.admin, "DELETE", all+"/two", nil).expect(204)
		k.do(k.admin, "DELETE", all+"/two", nil).expect(404)
		if got := enabled(); !slices.Equal(got, []string{"sp https://c.example/ecp"}) {
			t.Errorf("enabled %v", got)
		}
		if _, err := k.service.serviceProviders.Get(context.Background(), "two"); !fault.Is(err, fault.NotFound) {
			t.Errorf("deleted: %v", err)
		}
	})
}

// Only administrators change any of it, and nobody else looks.
func TestFederationIsTheAdministrators(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := serve(t, d, identity.Compliance{})
		k.put("mapping", "/mappings/m", aMapping("x")).expect(201)
		k.put("identity_provider", "/identity_providers/i", obj{}).expect(201)
		k.put("protocol", "/identity_providers/i/protocols/p", obj{"mapping_id": "m"}).expect(201)
		k.put("service_provider", "/service_providers/s", obj{"auth_url": "https://x", "sp_url": "https://x"}).expect(201)
		demo := k.login("demo", "demo-pw", onProject("demo"))
		generation := k.service.tokens.Generation()
		for _, path := range []string{"/mappings", "/mappings/m", "/identity_providers", "/identity_providers/i", "/identity_providers/i/protocols", "/identity_providers/i/protocols/p",
			"/service_providers", "/service_providers/s", "/mappings/none", "/identity_providers/none", "/identity_providers/none/protocols/none", "/service_providers/none"} {
			for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} {
				if strings.HasSuffix(path, "s") && path != "/service_providers/s" && method != "GET" {
					continue
				}
				k.do(demo, method, federated+path, obj{}).expect(403)
				k.do("", method, federated+path, obj{}).expect(401)
			}
		}
		if now := k.service.tokens.Generation(); now != generation {
			t.Error("what was refused changed identity rows")
		}
		k.do(k.admin, "PATCH", federated+"/identity_providers/i", obj{"identity_provider": obj{"enabled": true}}).expect(200)
		if now := k.service.tokens.Generation(); now == generation {
			t.Error("tokens are not judged anew after a change")
		}
	})
}

// Many ask for one remote id, one id, one protocol: one gets each, and what the
// others asked for leaves nothing.
func TestRemoteIDsAreOneProviders(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := serve(t, d, identity.Compliance{})
		k.put("mapping", "/mappings/m", aMapping("x")).expect(201)
		const n = 8
		before := len(k.do(k.admin, "GET", "/v3/domains", nil).expect(200).all("domains", "id"))
		won := func(ask func(i int) *answer, yes int) (count int) {
			t.Helper()
			var mu sync.Mutex
			var wg sync.WaitGroup
			for i := range n {
				wg.Go(func() {
					switch a := ask(i); a.status {
					case yes:
						mu.Lock()
						defer mu.Unlock()
						count++
					case http.StatusConflict:
					default:
						t.Errorf("%d: %s", a.status, a.raw)
					}
				})
			}
			wg.Wait()
			return count
		}
		if got := won(func(i int) *answer {
			return k.put("identity_provider", fmt.Sprintf("/identity_providers/i%d", i), obj{"remote_ids": []string{"urn:same", fmt.Sprint("urn:", i)}})
		}, 201); got != 1 {
			t.Errorf("%d providers have one remote id", got)
		}
		if got := won(func(i int) *answer { return k.put("identity_provider", "/identity_providers/same", obj{}) }, 201); got != 1 {
			t.Errorf("%d providers of one id", got)
		}
		if got := won(func(i int) *answer {
			return k.put("protocol", "/identity_providers/same/protocols/p", obj{"mapping_id": "m"})
		}, 201); got != 1 {
			t.Errorf("%d protocols of one id", got)
		}
		if got := won(func(i int) *answer {
			return k.do(k.admin, "PATCH", federated+"/identity_providers/same", obj{"identity_provider": obj{"remote_ids": []string{"urn:a", "urn:b"}}})
		}, 200); got != n {
			t.Errorf("%d of %d equal changes of one provider went through", got, n)
		}
		if got := len(k.do(k.admin, "GET", federated+"/identity_providers", nil).expect(200).all("identity_providers", "id")); got != 2 {
			t.Errorf("%d providers, want 2", got)
		}
		if got := len(k.do(k.admin, "GET", "/v3/domains", nil).expect(200).all("domains", "id")); got != before+2 {
			t.Errorf("%d domains, want %d", got, before+2)
		}
	})
}

// TestTokensThatShowCloudsCostNothing: other clouds are part of every answer, and
// are read only after a change.
func TestTokensThatShowCloudsCostNothing(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := serve(t, d, identity.Compliance{})
		k.login("demo", "demo-pw", onProject("demo"))
		token := k.login("demo", "demo-pw", onProject("demo"))
		show := func() *answer {
			return k.do(k.admin, "GET", "/v3/auth/tokens?nocatalog", nil, "X-Subject-Token", token).expect(200)
		}
		before := d.Counts().Queries
		show().same("token.service_providers", nil)
		if n := d.Counts().Queries - before; n != 0 {
			t.Errorf("%d statements to show a token", n)
		}
		k.put("service_provider", "/service_providers/away", obj{"auth_url": "https://away.example/", "sp_url": "https://away.example/", "enabled": true}).expect(201)
		show().same("token.service_providers.0.id", "away")
		k.do(k.admin, "PATCH", federated+"/service_providers/away", obj{"service_provider": obj{"enabled": false}}).expect(200)
		show().same("token.service_providers", nil)
	})
}
