package testcloud

import (
	"context"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/rest"
)

// journal remembers the mutating requests of clients that were accepted.
type journal struct {
	mu   sync.Mutex
	list []noted
	// reset: an administrator wrote a state by hand.
	reset bool
}

type noted struct{ what, id string }

func (j *journal) add(method, address string, a *http.Response) {
	id := a.Header.Get("X-Openstack-Request-Id")
	// A repeated key gets the first answer and changes nothing.
	if a.Request != nil && a.Request.Header.Get(rest.KeyHeader) != "" {
		return
	}
	// The object store keeps its audit with its index, under transaction ids.
	if j == nil || strings.HasPrefix(address, "/v1/") || method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions || a.StatusCode >= 300 || id == "" {
		return
	}
	address, _, _ = strings.Cut(address, "?")
	j.mu.Lock()
	defer j.mu.Unlock()
	j.list = append(j.list, noted{method + " " + address, id})
}

// checkAudit compares the requests of clients with the records of the audit
// log (I-24): each that changed something has one for each object, not two.
func (c *Cloud) checkAudit(ctx context.Context) {
	c.t.Helper()
	_, err := outbox.Publish(ctx, c.DB)
	must(c.t, err)
	of := map[string]map[string]int{} // by request: records by what they say
	for after := int64(0); ; {
		list, err := outbox.Read(ctx, c.DB, after, 1000)
		must(c.t, err)
		if len(list) == 0 {
			break
		}
		for _, e := range list {
			if of[e.Record.RequestID] == nil {
				of[e.Record.RequestID] = map[string]int{}
			}
			of[e.Record.RequestID][e.Record.Service+" "+e.Record.Action+" "+e.Record.Kind+" "+e.Record.Object]++
			after = e.Sequence
		}
	}
	c.noted.mu.Lock()
	defer c.noted.mu.Unlock()
	for _, n := range c.noted.list {
		if len(of[n.id]) == 0 && !slices.ContainsFunc(harmless, func(h string) bool { ok, err := path.Match(h, n.what); return ok && err == nil }) {
			c.t.Errorf("I-24: %s has no audit record", n.what)
		}
		for record, times := range of[n.id] {
			if times > 1 {
				c.t.Errorf("I-24: %s has %d audit records %q", n.what, times, record)
			}
		}
	}
}

// harmless are requests that change nothing, by whatever method.
var harmless = []string{"PUT /volume/v3/os-services/get-log", "POST /volume/v3/workers/cleanup"}
