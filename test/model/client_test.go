package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/rest"
	"github.com/mekcloud/mek/internal/testcloud"
	"github.com/mekcloud/mek/test/report"
)

type object = map[string]any

// model is a cloud and what all clients know of it.
type model struct {
	t        *testing.T
	r        *report.Run
	cloud    *testcloud.Cloud
	http     *http.Client
	ops      atomic.Int64
	network  string // what ports are made on
	image    string
	flavors  []string
	servers  int // that a client may have
	stable   map[*kind][]string
	shared   []*register
	account  string
	deadline time.Time
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) String() string { return fmt.Sprintf("%d %.400s", a.status, a.body) }

func (a answer) object() object {
	var o object
	_ = json.Unmarshal(a.body, &o) // not JSON: nothing is found in it, and said so
	return o
}

// in is a member of the body; nil when there is none.
func (a answer) in(path string) any {
	var v any = a.object()
	for key := range strings.SplitSeq(path, ".") {
		o, ok := v.(object)
		if !ok {
			return nil
		}
		v = o[key]
	}
	return v
}

func (a answer) text(path string) string { s, _ := a.in(path).(string); return s }

func (a answer) items(path string) []object {
	var out []object
	list, _ := a.in(path).([]any)
	for _, item := range list {
		o, _ := item.(object)
		out = append(out, o)
	}
	return out
}

// send sends a request; body is nil, []byte, or a value sent as JSON.
func (m *model) send(token, method, path string, body any, headers ...string) answer {
	m.ops.Add(1)
	content, kind := []byte(nil), "application/json"
	switch b := body.(type) {
	case nil:
	case []byte:
		content, kind = b, "application/octet-stream"
	default:
		var err error
		if content, err = json.Marshal(b); err != nil {
			m.t.Error(err)
		}
	}
	r, err := http.NewRequest(method, m.cloud.URL+path, bytes.NewReader(content))
	if err != nil {
		m.t.Error(err)
		return answer{}
	}
	r.Header.Set("X-Auth-Token", token)
	if body != nil {
		r.Header.Set("Content-Type", kind)
	}
	switch {
	case strings.HasPrefix(path, "/compute/"):
		r.Header.Set("OpenStack-API-Version", "compute 2.79")
	case strings.HasPrefix(path, "/volume/"):
		r.Header.Set("OpenStack-API-Version", "volume 3.60")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := m.http.Do(r)
	if err != nil {
		m.r.Violation("%s %s: %v", method, path, err)
		return answer{}
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		m.r.Violation("%s %s: %v", method, path, err)
	}
	a := answer{resp.StatusCode, resp.Header, out}
	if a.status >= 500 {
		m.r.Violation("%s %s: %s", method, path, a)
	}
	return a
}

// kind is a kind of things that a client makes, changes and deletes.
type kind struct {
	path, one, many string // one is empty where bodies have no envelope
	admin           bool
	update          string // method; "" for a JSON patch
	most            int
	create          func(c *client) object
	change          func(c *client) object
	ready           string   // status to wait for after a create; empty: it is whole at once
	unready         []string // statuses meanwhile
}

// thing is something that a client made; nobody else touches it.
type thing struct {
	kind  *kind
	id    string
	want  object // members as they must be shown
	state string // of servers, when nothing is going on

	flavor int    // of servers: which of the model's
	was    string // of servers that were resized: the state before
}

// client is one of several users beside each other.
type client struct {
	*model
	n      int
	random *rand.Rand
	made   int
	things []*thing
	files  map[string]string // own objects by name
}

func (c *client) token(k *kind) string {
	if k.admin {
		return c.cloud.Admin.Token
	}
	return c.cloud.Demo.Token
}

func (c *client) name() string {
	c.made++
	return fmt.Sprintf("c%d-%d-%d", c.n, c.made, c.random.IntN(1000))
}

func (c *client) wrap(k *kind, o object) any {
	if k.one == "" {
		return o
	}
	return object{k.one: o}
}

func (k *kind) of(a answer) object {
	o := a.object()
	if k.one != "" {
		o, _ = o[k.one].(object)
	}
	return o
}

func (c *client) have(k *kind) []*thing {
	var out []*thing
	for _, t := range c.things {
		if t.kind == k {
			out = append(out, t)
		}
	}
	return out
}

// shows compares what is shown of a thing with what it must be.
func (c *client) shows(t *thing, o object, where string) {
	for name, want := range t.want {
		if got := o[name]; !reflect.DeepEqual(got, want) {
			c.r.Violation("%s of %s %s: %s is %v, and was set to %v", where, t.kind.many, t.id, name, got, want)
		}
	}
}

func (c *client) create(k *kind) {
	body := k.create(c)
	body["name"] = c.name()
	a := c.post(k, c.wrap(k, body))
	if !slices.Contains([]int{http.StatusCreated, http.StatusAccepted, http.StatusOK}, a.status) {
		c.r.Violation("create %s: %s", k.path, a)
		return
	}
	t := &thing{kind: k, want: object{"name": body["name"]}}
	t.id, _ = k.of(a)["id"].(string)
	for _, name := range []string{"description", "admin_state_up", "enabled", "min_disk", "size"} {
		if v, ok := body[name]; ok {
			t.want[name] = normal(v)
		}
	}
	c.things = append(c.things, t)
	c.read(t)
	if k.ready != "" {
		c.settle(t, k.ready, k.unready...)
		t.state = k.ready
	}
}

// post asks for a new thing, now and then twice: with the same key, as a client
// does that had no answer, the second answer is the first, and nothing is made (I-19).
func (c *client) post(k *kind, body any) answer {
	if c.random.IntN(4) > 0 {
		return c.send(c.token(k), "POST", k.path, body)
	}
	key := fmt.Sprintf("key-%d-%d", c.n, c.ops.Load())
	first := c.send(c.token(k), "POST", k.path, body, rest.KeyHeader, key)
	again := c.send(c.token(k), "POST", k.path, body, rest.KeyHeader, key)
	if first.status != again.status || k.of(first)["id"] != k.of(again)["id"] {
		c.r.Violation("I-19: create %s under one key: %s, then %s", k.many, first, again)
	}
	return first
}

// normal is a value as JSON gives it back.
func normal(v any) any {
	if n, ok := v.(int); ok {
		return float64(n)
	}
	return v
}

// read shows a thing and compares it.
func (c *client) read(t *thing) object {
	a := c.send(c.token(t.kind), "GET", t.kind.path+"/"+t.id, nil)
	if a.status != http.StatusOK {
		c.r.Violation("show %s %s, which is there: %s", t.kind.many, t.id, a)
		return object{}
	}
	o := t.kind.of(a)
	c.shows(t, o, "show")
	return o
}

// settle reads until a status is reached; on the way only some are allowed.
func (c *client) settle(t *thing, want string, between ...string) {
	for end := time.Now().Add(time.Minute); ; <-time.After(5 * time.Millisecond) {
		o := c.read(t)
		status, _ := o["status"].(string)
		if status == want && o["OS-EXT-STS:task_state"] == nil {
			return
		}
		if status != want && !slices.Contains(between, status) || time.Now().After(end) {
			c.r.Violation("I-15: %s %s is %s (%v) on its way to %s", t.kind.many, t.id, status, o["OS-EXT-STS:task_state"], want)
			return
		}
	}
}

func (c *client) update(t *thing) {
	change := t.kind.change(c)
	var a answer
	if t.kind.update == "" {
		var patch []object
		for name, v := range change {
			patch = append(patch, object{"op": "replace", "path": "/" + name, "value": v})
		}
		a = c.send(c.token(t.kind), "PATCH", t.kind.path+"/"+t.id, patch, "Content-Type", "application/openstack-images-v2.1-json-patch")
	} else {
		a = c.send(c.token(t.kind), t.kind.update, t.kind.path+"/"+t.id, c.wrap(t.kind, change))
	}
	if a.status != http.StatusOK {
		c.r.Violation("change %s %s: %s", t.kind.many, t.id, a)
		return
	}
	for name, v := range change {
		t.want[name] = normal(v)
	}
	c.shows(t, t.kind.of(a), "answer to a change")
	c.read(t)
}

// list finds a thing by its name, once and as it is.
func (c *client) list(t *thing) {
	path := t.kind.path
	if t.kind == servers || t.kind == volumes {
		path += "/detail"
	}
	name, _ := t.want["name"].(string)
	found := c.send(c.token(t.kind), "GET", path+"?name="+name, nil).items(t.kind.many)
	found = slices.DeleteFunc(found, func(o object) bool { return o["name"] != name }) // Nova's filter is a search
	if len(found) != 1 || found[0]["id"] != t.id {
		c.r.Violation("I-20: %s %s is in the list of its name %d times: %v", t.kind.many, t.id, len(found), found)
		return
	}
	c.shows(t, found[0], "list")
}

// remove deletes a thing; it is gone, and stays gone.
func (c *client) remove(t *thing) {
	c.things = slices.DeleteFunc(c.things, func(o *thing) bool { return o == t })
	path := t.kind.path + "/" + t.id
	a := c.send(c.token(t.kind), "DELETE", path, nil)
	if a.status != http.StatusNoContent && a.status != http.StatusAccepted {
		c.r.Violation("delete %s: %s", path, a)
		return
	}
	gone := t.kind.ready == ""
	for end := time.Now().Add(time.Minute); ; <-time.After(5 * time.Millisecond) {
		a := c.send(c.token(t.kind), "GET", path, nil)
		if a.status == http.StatusNotFound {
			break
		}
		if gone || a.status != http.StatusOK || time.Now().After(end) {
			c.r.Violation("I-16: %s was deleted: %s", path, a)
			return
		}
	}
	if a := c.send(c.token(t.kind), "DELETE", path, nil); a.status != http.StatusNotFound {
		c.r.Violation("delete %s, which is gone: %s", path, a)
	}
}
