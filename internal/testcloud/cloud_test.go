package testcloud_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/testcloud"
)

func TestCloudAnswers(t *testing.T) {
	c := testcloud.New(t)
	c.Anonymous().Get("/healthz").Expect(200)
	c.Anonymous().Get("/identity").Expect(300)
	c.Anonymous().Get("/nowhere").Expect(404)
	c.Anonymous().Get("/identity/v3/users").Expect(401)
	if n := len(c.Admin.Get("/identity/v3/users").Expect(200).List("users")); n < 2 {
		t.Errorf("%d users", n)
	}
	c.Demo.Get("/identity/v3/users").Expect(403)
	types := map[string]bool{}
	for _, e := range c.Demo.Get("/identity/v3/auth/catalog").Expect(200).List("catalog") {
		types[e.(map[string]any)["type"].(string)] = true
	}
	if !types["identity"] {
		t.Errorf("catalog: %v", types)
	}
}

// What "mek doctor" asks the server is for administrators.
func TestChecks(t *testing.T) {
	c := testcloud.New(t)
	c.Anonymous().Do("GET", "/checks", nil).Expect(http.StatusUnauthorized)
	c.Demo.Do("GET", "/checks", nil).Expect(http.StatusUnauthorized)
	c.Admin.Do("GET", "/checks?mode=lax", nil).Expect(http.StatusBadRequest)
	all := c.Admin.Do("GET", "/checks", nil).Expect(http.StatusOK)
	if len(all.List("findings")) != 0 || len(all.List("examined")) < 5 || all.String("mode") != "live" {
		t.Errorf("%s", all.Body)
	}
	one := c.Admin.Do("GET", "/checks?mode=quiesced&only=objects", nil).Expect(http.StatusOK)
	if got := string(one.Body); strings.TrimSpace(got) != `{"mode":"quiesced","examined":["objects"],"findings":[]}` {
		t.Error(got)
	}
	c.Check()
}
