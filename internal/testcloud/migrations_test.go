package testcloud_test

import (
	"net/http"
	"testing"

	"github.com/mekcloud/mek/internal/testcloud"
)

// TestMigrationsForManagers: who manages a project moves its servers and sees
// their migrations, not where they run; nor those of other projects.
func TestMigrationsForManagers(t *testing.T) {
	c := testcloud.New(t, testcloud.Hosts(2))
	id, _ := server(t, c)
	manager := func(name, project string) *testcloud.Client {
		user := c.Admin.Do("POST", "/identity/v3/users", object{"user": object{"name": name, "password": "pw-of-managers"}}).Expect(http.StatusCreated).String("user.id")
		role := c.Admin.Get("/identity/v3/roles?name=manager").Expect(http.StatusOK).String("roles.0.id")
		at := c.Admin.Get("/identity/v3/projects?name=" + project).Expect(http.StatusOK).String("projects.0.id")
		c.Admin.Do("PUT", "/identity/v3/projects/"+at+"/users/"+user+"/roles/"+role, nil).Expect(http.StatusNoContent)
		return c.Login(name, "pw-of-managers", project)
	}
	own, other := manager("own", "demo"), manager("other", "admin")
	path, list := "/compute/v2.1/servers/"+id+"/action", "/compute/v2.1/os-migrations"
	const header, v = "OpenStack-API-Version", "compute 2.80"
	c.Demo.Do("POST", path, object{"migrate": nil}).Expect(http.StatusForbidden)
	other.Do("POST", path, object{"migrate": nil}).Expect(http.StatusNotFound)
	own.Do("POST", path, object{"migrate": object{"host": "sim-2"}}, header, v).Expect(http.StatusForbidden)
	own.Do("POST", path, object{"os-migrateLive": object{"host": "sim-2", "block_migration": "auto"}}, header, v).Expect(http.StatusForbidden)
	own.Do("POST", path, object{"migrate": nil}).Expect(http.StatusAccepted)
	c.RunTasks()
	c.Demo.Get(list).Expect(http.StatusForbidden)
	if got := c.Admin.Get(list).Expect(http.StatusOK); len(got.List("migrations")) != 1 || got.Value("migrations.0.source_compute") == nil {
		t.Errorf("for administrators: %s", got.Body)
	}
	if got := own.Get(list).Expect(http.StatusOK); len(got.List("migrations")) != 1 || got.Value("migrations.0.source_compute") != nil {
		t.Errorf("for the project's manager: %s", got.Body)
	}
	if got := own.Get(list + "?host=sim-1").Expect(http.StatusOK); len(got.List("migrations")) != 0 {
		t.Errorf("by host: %s", got.Body)
	}
	if got := other.Get(list).Expect(http.StatusOK); len(got.List("migrations")) != 0 {
		t.Errorf("for another project's manager: %s", got.Body)
	}
	own.Get(list+"?project_id="+c.Admin.ProjectID, header, v).Expect(http.StatusForbidden)
}
