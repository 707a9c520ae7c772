package rest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/microversion"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

type thing struct{ id, project, name string }

type shelf []*thing

func (s shelf) Get(_ context.Context, id string) (*thing, error) {
	for _, t := range s {
		if t.id == id {
			return t, nil
		}
	}
	return nil, fault.NotFoundf("Thing %s could not be found.", id)
}

func (s shelf) List(_ context.Context, q listing.Query) ([]*thing, error) {
	out, seen := []*thing{}, q.Marker == ""
	for _, t := range s {
		keep := seen
		seen = seen || t.id == q.Marker
		for _, term := range q.Where {
			value := map[string]string{"project_id": t.project, "name": t.name}[term.Column]
			keep = keep && term.Values[0] == value
		}
		if keep && len(out) < q.Limit {
			out = append(out, t)
		}
	}
	return out, nil
}

type tokens map[string]*policy.Credentials

func (t tokens) Authenticate(_ context.Context, token string) (*policy.Credentials, error) {
	if c := t[token]; c != nil {
		return c, nil
	}
	return nil, fault.New(fault.Unauthenticated, "The request you have made requires authentication.")
}

var things = rest.Resource[thing]{
	One: "thing", Many: "things", Show: "things:show", All: "things:all", AllKeys: []string{"all_tenants"}, Owner: "project_id",
	ID:     func(t *thing) string { return t.id },
	Target: func(t *thing) policy.Target { return policy.Target{"project_id": t.project} },
	Store:  shelf{{"1", "p1", "one"}, {"2", "p2", "two"}, {"3", "p1", "three"}},
	Fields: []rest.Field[thing]{
		{Name: "id", Column: "id", Get: func(t *thing) any { return t.id }},
		{Name: "name", Column: "name", Get: func(t *thing) any { return t.name }},
		{Name: "project", Since: microversion.V(2, 5), Get: func(t *thing) any { return t.project }},
	},
}

// many are enough things to be written by two; serial are the same, written by one.
var many, serial = func() (rest.Resource[thing], rest.Resource[thing]) {
	r := things
	var all shelf
	for i := range 151 {
		all = append(all, &thing{fmt.Sprint("id", i), "p1", fmt.Sprintf("näme %d", i)})
	}
	r.Store, r.MaxLimit = all, 1000
	apart := r
	apart.Apart = true
	return apart, r
}()

func create(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Thing struct {
			Name  string           `json:"name" v:"required,name,min=1,max=5"`
			Size  rest.Int         `json:"size" v:"min=1"`
			Color string           `json:"color" since:"2.5" v:"enum=red|blue"`
			Note  rest.Opt[string] `json:"note"`
		} `json:"thing" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(map[string]any{"name": in.Thing.Name, "size": in.Thing.Size, "noted": in.Thing.Note.Set, "null": in.Thing.Note.Null})
}

func kick(c *rest.Call) (rest.Reply, error) {
	if _, err := things.Find(c, c.Var("id")); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

func forget(*rest.Call) (rest.Reply, error) { return rest.OK(map[string]any{"leaked": true}) }

func server(t *testing.T) http.Handler {
	t.Helper()
	enforcer, err := policy.New([]policy.Rule{
		{Name: "things:show", Check: "project_id:%(project_id)s or role:admin"}, {Name: "things:list", Check: "role:reader"},
		{Name: "things:all", Check: "role:admin"}, {Name: "things:write", Check: "role:member and project_id:%(project_id)s"},
	})
	if err != nil {
		t.Fatal(err)
	}
	svc := &rest.Service{
		Name: "nova", Type: "compute", Prefix: "/compute",
		Dialect: rest.Dialect{ProjectInPath: true, Base: map[string]string{"v2": "v2.1"}, Versions: &rest.Versions{Min: microversion.V(2, 1), Max: microversion.V(2, 9), Types: []string{"compute"}, Legacy: "X-Openstack-Nova-Api-Version"},
			List: rest.ListStyle{MaxLimit: 10, Links: func(_ *rest.Call, many string, body map[string]any, p rest.PageLinks) {
				if p.Next != nil {
					body[many+"_next"] = p.Next.Get("marker")
				}
			}}},
		Routes: []rest.Route{
			{Method: "GET", Path: "/v2.1", Open: true, Handle: func(c *rest.Call) (rest.Reply, error) { return rest.OK(c.Link("/v2.1/")) }},
			{Method: "GET", Path: "/v2.1/things", Rule: "things:list", Handle: things.Index},
			{Method: "GET", Path: "/v2.1/many", Rule: "things:list", Handle: many.Index},
			{Method: "GET", Path: "/v2.1/serial", Rule: "things:list", Handle: serial.Index},
			{Method: "POST", Path: "/v2.1/things", Rule: "things:write", Audit: "create", Handle: create},
			{Method: "GET", Path: "/v2.1/things/{id}", Rule: "things:show", Object: true, Handle: things.Read},
			{Method: "GET", Path: "/v2.1/things/{id}/leak", Rule: "things:show", Object: true, Handle: forget},
			{Method: "POST", Path: "/v2.1/things/{id}/action", Actions: map[string]rest.Action{
				"kick": {Rule: "things:write", Handle: kick}, "late": {Rule: "things:write", Since: microversion.V(2, 7), Handle: kick}}},
		},
		Planned: []rest.Planned{{Method: "GET", Path: "/v2.1/things/count"}, {Method: "POST", Path: "/v2.1/things/{x}/action", Action: "fold"}},
	}
	auth := tokens{
		"p1":     {UserID: "u1", ProjectID: "p1", Roles: []string{"member", "reader"}},
		"reader": {UserID: "u3", ProjectID: "p1", Roles: []string{"reader"}},
		"admin":  {UserID: "u2", ProjectID: "p9", Roles: []string{"admin", "member", "reader"}},
	}
	return rest.New(rest.Config{Policy: enforcer, Auth: auth, Clock: clock.Real{}, Log: slog.New(slog.DiscardHandler)}, http.NotFoundHandler(), svc)
}

func do(h http.Handler, method, path, token, body string, header ...string) (int, string, http.Header) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("X-Auth-Token", token)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	out, _ := io.ReadAll(w.Result().Body)
	return w.Code, string(out), w.Result().Header
}

func TestRequests(t *testing.T) {
	h := server(t)
	tests := []struct {
		name, method, path, token, body, version string
		status                                   int
		has                                      string
	}{
		{"no token", "GET", "/compute/v2.1/things", "", "", "", 401, "requires authentication"},
		{"dead token", "GET", "/compute/v2.1/things", "x", "", "", 401, "requires authentication"},
		{"open", "GET", "/compute/v2.1/", "", "", "", 200, `http://example.com/compute/v2.1/`},
		{"own things only", "GET", "/compute/v2.1/things", "p1", "", "", 200, `{"things":[{"id":"1","name":"one"},{"id":"3","name":"three"}]}`},
		{"slash and suffix", "GET", "/compute/v2.1/things.json/", "p1", "", "", 200, `"three"`},
		{"doubled version", "GET", "/compute/v2.1/v2.1/things", "p1", "", "", 200, `"three"`},
		{"project in path", "GET", "/compute/v2.1/p1/things", "p1", "", "", 200, `"three"`},
		{"older version", "GET", "/compute/v2/p1/things/1", "p1", "", "2.5", 200, `{"thing":{"id":"1","name":"one"}}`},
		{"wrong project in path", "GET", "/compute/v2.1/p2/things", "p1", "", "", 400, "Malformed request URL"},
		{"newer field", "GET", "/compute/v2.1/things?limit=1", "p1", "", "2.5", 200, `{"things":[{"id":"1","name":"one","project":"p1"}],"things_next":"1"}`},
		{"marker", "GET", "/compute/v2.1/things?marker=1", "p1", "", "", 200, `{"things":[{"id":"3","name":"three"}]}`},
		{"foreign marker", "GET", "/compute/v2.1/things?marker=2", "p1", "", "", 400, "marker [2] not found"},
		{"zero limit", "GET", "/compute/v2.1/things?limit=0", "p1", "", "", 200, `{"things":[]}`},
		{"bad limit", "GET", "/compute/v2.1/things?limit=-1", "p1", "", "", 400, "limit"},
		{"bad sort", "GET", "/compute/v2.1/things?sort_key=project", "p1", "", "2.5", 400, "Sort key"},
		{"filter", "GET", "/compute/v2.1/things?name=three", "p1", "", "", 200, `{"things":[{"id":"3","name":"three"}]}`},
		{"all tenants refused", "GET", "/compute/v2.1/things?all_tenants=1", "p1", "", "", 403, "things:all"},
		{"all tenants", "GET", "/compute/v2.1/things?all_tenants=1", "admin", "", "", 200, `"two"`},
		{"foreign is missing", "GET", "/compute/v2.1/things/2", "p1", "", "", 404, "2 could not be found"},
		{"forgotten authorisation", "GET", "/compute/v2.1/things/1/leak", "p1", "", "", 500, "An unexpected error occurred"},
		{"version too new", "GET", "/compute/v2.1/things", "p1", "", "2.10", 406, "2.10 is not supported"},
		{"version garbage", "GET", "/compute/v2.1/things", "p1", "", "two", 400, "invalid format"},
		{"create", "POST", "/compute/v2.1/things", "p1", `{"thing":{"name":"n","size":"3","note":null}}`, "", 202, `{"name":"n","noted":true,"null":true,"size":3}`},
		{"reader may not", "POST", "/compute/v2.1/things", "reader", `{}`, "", 403, "things:write"},
		{"not JSON", "POST", "/compute/v2.1/things", "p1", `{`, "", 400, "not valid JSON"},
		{"empty", "POST", "/compute/v2.1/things", "p1", ``, "", 400, "empty"},
		{"missing", "POST", "/compute/v2.1/things", "p1", `{"thing":{}}`, "", 400, "'name' is a required property"},
		{"unknown", "POST", "/compute/v2.1/things", "p1", `{"thing":{"name":"n","Size":1}}`, "", 400, "'Size' was unexpected"},
		{"too new", "POST", "/compute/v2.1/things", "p1", `{"thing":{"name":"n","color":"red"}}`, "", 400, "'color' was unexpected"},
		{"enum", "POST", "/compute/v2.1/things", "p1", `{"thing":{"name":"n","color":"green"}}`, "2.5", 400, "not one of red, blue"},
		{"wrong type", "POST", "/compute/v2.1/things", "p1", `{"thing":{"name":1}}`, "", 400, "not of type 'string'"},
		{"null", "POST", "/compute/v2.1/things", "p1", `{"thing":{"name":null}}`, "", 400, "null is not allowed"},
		{"too long", "POST", "/compute/v2.1/things", "p1", `{"thing":{"name":"abcdef"}}`, "", 400, "too long"},
		{"too small", "POST", "/compute/v2.1/things", "p1", `{"thing":{"name":"a","size":0}}`, "", 400, "less than the minimum"},
		{"action", "POST", "/compute/v2.1/things/1/action", "p1", `{"kick":null}`, "", 202, ""},
		{"action on foreign", "POST", "/compute/v2.1/things/2/action", "p1", `{"kick":null}`, "", 404, "could not be found"},
		{"action seen but refused", "POST", "/compute/v2.1/things/1/action", "admin", `{"kick":null}`, "", 403, "things:write"},
		{"action too new", "POST", "/compute/v2.1/things/1/action", "p1", `{"late":null}`, "2.6", 404, "could not be found"},
		{"planned action", "POST", "/compute/v2.1/things/1/action", "p1", `{"fold":null}`, "", 501, "not implemented"},
		{"no such action", "POST", "/compute/v2.1/things/1/action", "p1", `{"foo":null}`, "", 400, "no such action"},
		{"planned", "GET", "/compute/v2.1/things/count", "p1", "", "", 501, "not implemented"},
		{"unknown route", "GET", "/compute/v2.1/nothing/at/all", "p1", "", "", 404, "could not be found"},
		{"unknown method", "DELETE", "/compute/v2.1/things", "p1", "", "", 404, "could not be found"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var header []string
			if tt.version != "" {
				header = []string{"OpenStack-API-Version", "compute " + tt.version}
			}
			status, body, _ := do(h, tt.method, tt.path, tt.token, tt.body, header...)
			if status != tt.status || !strings.Contains(body, tt.has) {
				t.Errorf("got %d %s, want %d with %q", status, body, tt.status, tt.has)
			}
			if status >= 400 && !json.Valid([]byte(body)) {
				t.Errorf("the error is not JSON: %s", body)
			}
		})
	}
}

// TestHalvesOfALongList compares a list that two goroutines wrote with that of one.
func TestHalvesOfALongList(t *testing.T) {
	h := server(t)
	for _, limit := range []int{151, 150, 100, 99, 1} {
		query := fmt.Sprint("?limit=", limit)
		status, apart, _ := do(h, "GET", "/compute/v2.1/many"+query, "p1", "")
		_, whole, _ := do(h, "GET", "/compute/v2.1/serial"+query, "p1", "")
		if status != 200 || apart != whole || strings.Count(apart, `"id":`) != limit {
			t.Errorf("%d things: %d %s\nwant %s", limit, status, apart, whole)
		}
	}
}

func TestHeaders(t *testing.T) {
	h := server(t)
	_, body, header := do(h, "GET", "/compute/v2.1/things", "p1", "", "X-OpenStack-Nova-API-Version", "2.7")
	got := map[string]string{"type": header.Get("Content-Type"), "api": header.Get("OpenStack-API-Version"), "old": header.Get("X-OpenStack-Nova-API-Version")}
	want := map[string]string{"type": "application/json", "api": "compute 2.7", "old": "2.7"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if !strings.HasPrefix(header.Get("X-Openstack-Request-Id"), "req-") {
		t.Error("no request id")
	}
	status, empty, headHeader := do(h, "HEAD", "/compute/v2.1/things", "p1", "", "X-OpenStack-Nova-API-Version", "2.7")
	if status != 200 || empty != "" || headHeader.Get("Content-Length") != header.Get("Content-Length") {
		t.Errorf("HEAD: %d %q %v, GET had %d bytes", status, empty, headHeader, len(body))
	}
}

func TestRouteWithoutRulePanics(t *testing.T) {
	enforcer, err := policy.New([]policy.Rule{{Name: "known", Check: "@"}})
	if err != nil {
		t.Fatal(err)
	}
	ok := func(*rest.Call) (rest.Reply, error) { return rest.NoContent() }
	for name, route := range map[string]rest.Route{
		"no rule":    {Method: "GET", Path: "/x", Handle: ok},
		"no such":    {Method: "GET", Path: "/x", Rule: "unknown", Handle: ok},
		"no audit":   {Method: "POST", Path: "/x", Rule: "known", Handle: ok},
		"no handler": {Method: "GET", Path: "/x", Rule: "known"},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it was registered")
				}
			}()
			rest.New(rest.Config{Policy: enforcer}, nil, &rest.Service{Name: "s", Routes: []rest.Route{route}})
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{}`, `{"name":"a","tags":["x"],"size":"3","in":{"a":{"b":1}}}`, `{"name":null}`, `[]`, `{"size":1e99}`, `{"name":"\ud800"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var in struct {
			Name string                    `json:"name" v:"required,name,max=9"`
			Tags []string                  `json:"tags" v:"max=3"`
			Size rest.Int                  `json:"size" v:"min=1,max=9"`
			In   map[string]map[string]int `json:"in"`
			Note rest.Opt[bool]            `json:"note"`
		}
		if err := rest.DecodeValue(raw, &in); err == nil {
			if in.Name != strings.TrimSpace(in.Name) || len([]rune(in.Name)) > 9 || len(in.Tags) > 3 || in.Size > 9 {
				t.Errorf("accepted %q as %+v", raw, in)
			}
		} else if !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v is not Invalid", raw, err)
		}
	})
}

// FuzzMembers: a member is what encoding/json takes for it.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{`{}`, ` {"a" : [1, "}", {"b":"\""}] ,"c":-1.5e3,"a":null} `, `{"\u0061":true}`, `{"é":"\\"}`, `[]`, `{"a":`, `{"a":{}}x`} {
		f.Add(seed, "a")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		var want map[string]json.RawMessage
		problem := json.Unmarshal([]byte(text), &want)
		if strings.TrimSpace(text) == "null" {
			return // an object that is not there, for encoding/json
		}
		found, ok := rest.Members(json.RawMessage(text), name)
		var got json.RawMessage
		if ok {
			got = found[0]
		}
		if ok != (problem == nil) || string(got) != string(want[name]) {
			t.Errorf("%q of %q: %q %v, want %q %v", name, text, got, ok, want[name], problem)
		}
	})
}
