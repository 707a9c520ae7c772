package security

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/testcloud"
)

// TestLimits (SEC-30): a project beyond its rate is told so, deletes go on, and
// other projects notice nothing.
func TestLimits(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t, func(c *config.Config) {
		c.Limits.Writes, c.Limits.WritesBurst = 0.01, 12
		c.Limits.Strangers, c.Limits.StrangersBurst = 0.01, 40
	})
	key := func(c *testcloud.Client, name string) *testcloud.Answer {
		return c.Do("POST", "/compute/v2.1/os-keypairs", map[string]any{"keypair": map[string]any{"name": name}})
	}
	made := 0
	var last *testcloud.Answer
	for ; made < 20; made++ {
		if last = key(cloud.Demo, fmt.Sprint("k", made)); last.Status != http.StatusOK {
			break
		}
	}
	if made != 12 || last.Status != http.StatusTooManyRequests || last.Header.Get("Retry-After") == "" {
		t.Errorf("after %d writes: %d %v %s", made, last.Status, last.Header, last.Body)
	}
	for path, envelope := range map[string]string{"/volume/v3/volumes": `"code": 429`, "/networking/v2.0/networks": "NeutronError", "/image/v2/images": "", "/identity/v3/users/x/password": `"code"`,
		"/v1/AUTH_" + cloud.Demo.ProjectID + "/c": ""} {
		a := cloud.Demo.Do("POST", path, "{}")
		if a.Status != http.StatusTooManyRequests || a.Header.Get("Retry-After") == "" || strings.Contains(string(a.Body), "unexpected") {
			t.Errorf("%s: %d %s (want %s)", path, a.Status, a.Body, envelope)
		}
	}
	cloud.Demo.Get("/compute/v2.1/os-keypairs").Expect(200)
	cloud.Demo.Do("DELETE", "/compute/v2.1/os-keypairs/k1", nil).Expect(202)
	key(cloud.Admin, "mine").Expect(200)
	limited := 0
	for range 60 {
		a := cloud.Anonymous().Get("/healthz")
		if a.Status == http.StatusTooManyRequests && a.Header.Get("Retry-After") != "" {
			limited++
		}
		if limited > 1 {
			break
		}
	}
	if limited == 0 {
		t.Error("strangers have no limit")
	}
	own := *cloud.Anonymous()
	own.URL = cloud.S3
	if a := own.Get("/bucket?list-type=2", "Authorization", "AWS4-HMAC-SHA256 none"); a.Status != http.StatusServiceUnavailable || !strings.Contains(string(a.Body), "SlowDown") {
		t.Errorf("S3: %d %s", a.Status, a.Body)
	}
	key(cloud.Admin, "again").Expect(200)
}
