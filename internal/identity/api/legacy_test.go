package identityapi

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/identity"
)

// The older version works on the same rows, in its own words.
func TestVersion2(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := serve(t, d, identity.Compliance{})
		login := func(user, password, tenant string) *answer {
			return k.do("", "POST", "/v2.0/tokens", obj{"auth": obj{"passwordCredentials": obj{"username": user, "password": password}, "tenantName": tenant}})
		}
		a := login("admin", "admin-pw", "admin").expect(200)
		admin := a.text("access.token.id")
		if a.text("access.token.tenant.name") != "admin" || !slices.Contains(a.all("access.user.roles", "name"), "admin") || a.text("access.serviceCatalog.0.endpoints.0.publicURL") == "" {
			t.Errorf("login %s", a.raw)
		}
		login("admin", "wrong", "admin").expect(401)
		login("admin", "admin-pw", "nowhere").expect(401)
		tenant := k.do(admin, "POST", "/v2.0/tenants", obj{"tenant": obj{"name": "t", "description": "d"}}).expect(200).text("tenant.id")
		k.do(admin, "POST", "/v2.0/tenants/"+tenant, obj{"tenant": obj{"description": "e"}}).expect(200)
		user := k.do(admin, "POST", "/v2.0/users", obj{"user": obj{"name": "u", "password": "pw", "tenantId": tenant, "email": "u@x"}}).expect(200)
		id := user.text("user.id")
		if user.text("user.email") != "u@x" || user.text("user.tenantId") != tenant {
			t.Errorf("user %s", user.raw)
		}
		for _, bad := range []obj{{"name": ""}, {"name": "v", "enabled": 3}, {"name": strings.Repeat("v", 256)}} {
			k.do(admin, "POST", "/v2.0/users", obj{"user": bad}).expect(400)
		}
		if got := k.do(admin, "GET", "/v2.0/tenants/"+tenant+"/users", nil).expect(200).all("users", "id"); !slices.Equal(got, []string{id}) {
			t.Errorf("users of the tenant: %v", got)
		}
		role := k.do(admin, "POST", "/v2.0/OS-KSADM/roles", obj{"role": obj{"name": "r"}}).expect(200).text("role.id")
		grant := "/v2.0/tenants/" + tenant + "/users/" + id + "/roles/OS-KSADM/" + role
		k.do(admin, "PUT", grant, nil).expect(200)
		k.do(admin, "PUT", grant, nil).expect(409)
		if got := k.do(admin, "GET", "/v2.0/tenants/"+tenant+"/users/"+id+"/roles", nil).expect(200).all("roles", "name"); !slices.Contains(got, "r") {
			t.Errorf("roles %v", got)
		}
		k.do(admin, "DELETE", grant, nil).expect(204)
		own := login("u", "pw", "t").expect(200).text("access.token.id")
		if got := k.do(own, "GET", "/v2.0/tenants", nil).expect(200).all("tenants", "name"); !slices.Equal(got, []string{"t"}) {
			t.Errorf("a user's tenants: %v", got)
		}
		r, err := http.NewRequest("GET", k.url+"/identity_admin/v2.0/tenants", nil)
		k.must(err)
		r.Header.Set("X-Auth-Token", own)
		reply, err := http.DefaultClient.Do(r)
		k.must(err)
		if _, err := io.Copy(io.Discard, reply.Body); err != nil || reply.Body.Close() != nil || reply.StatusCode != http.StatusForbidden {
			t.Errorf("the admin endpoint answers a user %d", reply.StatusCode)
		}
		for _, path := range []string{"/v2.0/users", "/v2.0/users/" + id, "/v2.0/OS-KSADM/roles", "/v2.0/endpoints", "/v2.0/tenants/" + tenant} {
			k.do(own, "GET", path, nil).expect(403)
		}
		k.do(own, "GET", "/v2.0/tokens/"+admin, nil).expect(403)
		if a := k.do(admin, "GET", "/v2.0/tokens/"+own, nil).expect(200); a.text("access.user.id") != id {
			t.Errorf("token %s", a.raw)
		}
		a = k.do(own, "PATCH", "/v2.0/OS-KSCRUD/users/"+id, obj{"user": obj{"original_password": "pw", "password": "pw2"}}).expect(200)
		if k.alive(own) || !k.alive(a.text("access.token.id")) {
			t.Error("a new password must end the old token and give a new one")
		}
		k.do(admin, "DELETE", "/v2.0/tokens/"+a.text("access.token.id"), nil).expect(204)
		service := k.do(admin, "POST", "/v2.0/OS-KSADM/services", obj{"OS-KSADM:service": obj{"name": "s", "type": "t"}}).expect(200).text("OS-KSADM:service.id")
		endpoint := k.do(admin, "POST", "/v2.0/endpoints", obj{"endpoint": obj{"service_id": service, "region": "R", "publicurl": "http://p", "adminurl": "http://a"}}).expect(200).text("endpoint.id")
		three := k.do(k.admin, "GET", "/v3/endpoints?service_id="+service, nil).expect(200)
		if got := three.all("endpoints", "url"); len(got) != 2 || three.at("endpoints.0.legacy_endpoint_id") != nil {
			t.Errorf("in version 3: %s", three.raw)
		}
		k.do(admin, "DELETE", "/v2.0/endpoints/"+endpoint, nil).expect(204)
		k.do(admin, "DELETE", "/v2.0/endpoints/"+endpoint, nil).expect(404)
		other := k.make("domain", "domains", obj{"name": "other"})
		foreign := k.make("user", "users", obj{"name": "f", "password": "pw", "domain_id": other})
		k.do(admin, "GET", "/v2.0/users/"+foreign, nil).expect(404) // another domain does not exist here
		k.do(admin, "DELETE", "/v2.0/users/"+id, nil).expect(204)
		k.do(admin, "DELETE", "/v2.0/tenants/"+tenant, nil).expect(204)
	})
}
