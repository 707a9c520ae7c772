package placementapi_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/id"
)

// Errors are pages for clients that take HTML and no JSON, with what they sent
// escaped, and JSON for all others.
func TestErrorsAsPages(t *testing.T) {
	c := newClient(t)
	for _, test := range []struct{ path, accept, version, kind, text string }{
		{"/cow", "text/html", "1.39", "text/html; charset=UTF-8", "<h1>404 Not Found</h1>"},
		{"/", "text/html", "0.5", "text/html; charset=UTF-8", "Unacceptable version header: 0.5"},
		{"/traits/%3Cb%3E", "text/html", "1.39", "text/html; charset=UTF-8", "&lt;b&gt;"},
		{"/resource_providers/cow", "text/html,application/json", "1.39", "application/json", `"errors"`},
		{"/resource_providers/cow", "text/html;q=0", "1.39", "application/json", `"errors"`},
		{"/resource_providers/cow", "*/*", "1.39", "application/json", `"errors"`},
		{"/resource_providers/cow", "text/plain", "1.39", "application/json", `"errors"`},
	} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", c.url+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Auth-Token", c.token)
		r.Header.Set("Accept", test.accept)
		r.Header.Set("OpenStack-API-Version", "placement "+test.version)
		reply, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(reply.Body)
		reply.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if kind := reply.Header.Get("Content-Type"); kind != test.kind || !strings.Contains(string(raw), test.text) || strings.Contains(string(raw), "<b>") {
			t.Errorf("%s as %s: %d %s %s", test.path, test.accept, reply.StatusCode, kind, raw)
		}
	}
}

// Classes in use are named in the order of the standard list, custom ones last.
func TestClassesInUseInOrder(t *testing.T) {
	c := newClient(t)
	c.send("PUT", "/resource_classes/CUSTOM_A", nil, 201)
	uuid := c.provider("h1", "", object{"DISK_GB": object{"total": 9}, "VCPU": object{"total": 9}, "CUSTOM_A": object{"total": 9}, "MEMORY_MB": object{"total": 9}})
	c.send("PUT", "/allocations/"+id.New(), object{"allocations": object{uuid: object{"resources": object{"DISK_GB": 1, "VCPU": 1, "CUSTOM_A": 1}}},
		"project_id": "p1", "user_id": "u1", "consumer_generation": nil, "consumer_type": "INSTANCE"}, 204)
	detail := c.send("DELETE", "/resource_providers/"+uuid+"/inventories", nil, 409).in("errors", 0, "detail")
	c.expect("detail", detail, "Inventory for 'VCPU, DISK_GB, CUSTOM_A' on resource provider '"+uuid+"' in use.")
}
