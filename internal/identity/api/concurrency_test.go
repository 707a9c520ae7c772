package identityapi

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/identity"
)

// Many clients at once: every change is answered, none is lost, one of several
// equal names wins, and no token works after the answer that ended it.
func TestManyClientsAtOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := serve(t, d, identity.Compliance{})
		member := k.role("member")
		project := k.make("project", "projects", obj{"name": "shared", "domain_id": "default"})
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for i := range 8 {
			wg.Go(func() {
				if k.do(k.admin, "POST", "/v3/groups", obj{"group": obj{"name": "same", "domain_id": "default"}}).status == http.StatusCreated {
					mu.Lock()
					won++
					mu.Unlock()
				}
				for j := range 5 {
					name := fmt.Sprintf("u%d-%d", i, j)
					a := k.do(k.admin, "POST", "/v3/users", obj{"user": obj{"name": name, "password": "pw", "domain_id": "default"}})
					if a.status != 201 {
						t.Errorf("%s: %d %s", name, a.status, a.raw)
						return
					}
					user := a.text("user.id")
					grant := "/v3/projects/" + project + "/users/" + user + "/roles/" + member
					if s := k.do(k.admin, "PUT", grant, nil).status; s != 204 {
						t.Errorf("grant: %d", s)
					}
					in := k.auth(byPassword(name, "pw"), obj{"project": obj{"id": project}})
					if in.status != 201 {
						t.Errorf("login: %d %s", in.status, in.raw)
						return
					}
					token := in.header.Get("X-Subject-Token")
					if s := k.do(token, "GET", "/v3/auth/catalog", nil).status; s != 200 {
						t.Errorf("with a role: %d", s)
					}
					if s := k.do(k.admin, "DELETE", grant, nil).status; s != 204 {
						t.Errorf("revoke: %d", s)
					}
					if s := k.do(token, "GET", "/v3/auth/catalog", nil).status; s != 401 {
						t.Errorf("the token works after the role was taken away: %d", s)
					}
				}
			})
		}
		wg.Wait()
		if won != 1 {
			t.Errorf("%d groups of one name", won)
		}
		if n := len(k.do(k.admin, "GET", "/v3/users?name__startswith=u", nil).expect(200).all("users", "id")); n != 40 {
			t.Errorf("%d users, want 40", n)
		}
	})
}
