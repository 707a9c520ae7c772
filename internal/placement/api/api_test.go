package placementapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	placementapi "github.com/mekcloud/mek/internal/placement/api"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// tokens are "role,role@project".
type tokens struct{}

func (tokens) Authenticate(_ context.Context, token string) (*policy.Credentials, error) {
	roles, project, ok := strings.Cut(token, "@")
	if !ok {
		return nil, fault.New(fault.Unauthenticated, "The request you have made requires authentication.")
	}
	return &policy.Credentials{UserID: "u1", ProjectID: project, Roles: strings.Split(roles, ",")}, nil
}

// client speaks to a Placement of its own.
type client struct {
	t       *testing.T
	url     string
	token   string
	version string
}

func newClient(t *testing.T) *client {
	t.Helper()
	svc := placementapi.New(dbtest.One(t), clock.NewFake(time.Unix(1_700_000_000, 0))).REST()
	enforcer, err := policy.New(policy.Base(), svc.Rules)
	if err != nil {
		t.Fatal(err)
	}
	svc.Policy = enforcer
	server := httptest.NewServer(rest.New(rest.Config{Auth: tokens{}, Clock: clock.Real{}, Log: slog.New(slog.DiscardHandler)}, http.NotFoundHandler(), svc))
	t.Cleanup(server.Close)
	return &client{t, server.URL + "/placement", "admin,service@p1", "1.39"}
}

func (c client) at(version string) *client { c.version = version; return &c }
func (c client) as(token string) *client   { c.token = token; return &c }

// answer is a reply with its body read.
type answer struct {
	*http.Response
	text string
	body map[string]any
}

func (c *client) send(method, path string, body any, want int) answer {
	c.t.Helper()
	var content io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			c.t.Fatal(err)
		}
		content = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, content)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.token != "" {
		r.Header.Set("X-Auth-Token", c.token)
	}
	if c.version != "" {
		r.Header.Set("OpenStack-API-Version", "placement "+c.version)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return c.do(r, want)
}

func (c *client) do(r *http.Request, want int) answer {
	c.t.Helper()
	reply, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer reply.Body.Close()
	raw, err := io.ReadAll(reply.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	a := answer{Response: reply, text: string(raw)}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &a.body); err != nil {
			c.t.Fatalf("%s %s: %v in %s", r.Method, r.URL, err, raw)
		}
	}
	if reply.StatusCode != want {
		c.t.Fatalf("%s %s at %s: %d, want %d: %s", r.Method, r.URL, c.version, reply.StatusCode, want, raw)
	}
	return a
}

// in walks the body: keys, and indexes of lists.
func (a answer) in(path ...any) any {
	var v any = a.body
	for _, step := range path {
		switch s := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[s]
		case int:
			l, _ := v.([]any)
			if s >= len(l) {
				return nil
			}
			v = l[s]
		}
	}
	return v
}

func (c *client) expect(what string, got, want any) {
	c.t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		c.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

type object = map[string]any

// provider makes a provider with inventories and gives its id.
func (c *client) provider(name, parent string, inventories object) string {
	c.t.Helper()
	body := object{"name": name, "uuid": id.New()}
	if parent != "" {
		body["parent_provider_uuid"] = parent
	}
	uuid, _ := c.at("1.39").send("POST", "/resource_providers", body, 200).in("uuid").(string)
	c.at("1.39").send("PUT", "/resource_providers/"+uuid+"/inventories", object{"resource_provider_generation": 0, "inventories": inventories}, 200)
	return uuid
}

func TestMain(m *testing.M) { dbtest.Main(m) }

func TestRoot(t *testing.T) {
	c := newClient(t)
	a := c.as("").at("").send("GET", "/", nil, 200)
	c.expect("document", a.text, `{"versions":[{"id":"v1.0","links":[{"href":"","rel":"self"}],"max_version":"1.39","min_version":"1.0","status":"CURRENT"}]}`)
	c.expect("version header", a.Header.Get("OpenStack-API-Version"), "placement 1.0")
	c.expect("no cache headers", a.Header.Get("Last-Modified"), "")
	a = c.as("").send("GET", "/", nil, 200)
	c.expect("cache headers", a.Header.Get("Cache-Control")+" "+a.Header.Get("Last-Modified"), "no-cache Tue, 14 Nov 2023 22:13:20 GMT")
}

func TestProviders(t *testing.T) { dbtest.EachOne(t, onProviders) }

func onProviders(t *testing.T) {
	c := newClient(t)
	uuid := id.New()
	a := c.at("1.0").send("POST", "/resource_providers", object{"name": "one", "uuid": strings.ToUpper(strings.ReplaceAll(uuid, "-", ""))}, 201)
	c.expect("location", a.Header.Get("Location"), c.url+"/resource_providers/"+uuid)
	c.expect("no body", a.text, "")
	a = c.at("1.0").send("GET", "/resource_providers/"+uuid, nil, 200)
	c.expect("members", len(a.body), 4)
	c.expect("links at 1.0", a.in("links"), []any{object{"rel": "self", "href": "/placement/resource_providers/" + uuid},
		object{"rel": "inventories", "href": "/placement/resource_providers/" + uuid + "/inventories"}, object{"rel": "usages", "href": "/placement/resource_providers/" + uuid + "/usages"}})
	a = c.send("POST", "/resource_providers", object{"name": "two", "parent_provider_uuid": uuid}, 200)
	c.expect("parent and root", fmt.Sprint(a.in("parent_provider_uuid"), a.in("root_provider_uuid"), a.in("generation")), uuid+uuid+"0")
	child, _ := a.in("uuid").(string)
	c.expect("null parent", c.send("GET", "/resource_providers/"+uuid, nil, 200).in("parent_provider_uuid"), nil)

	a = c.send("POST", "/resource_providers", object{"name": "one"}, 409)
	c.expect("code", a.in("errors", 0, "code"), "placement.duplicate_name")
	c.expect("detail", a.in("errors", 0, "detail"), "Conflicting resource provider name: one already exists.")
	c.expect("title and status", fmt.Sprintf("%v %v", a.in("errors", 0, "title"), a.in("errors", 0, "status")), "Conflict 409")
	if rid, _ := a.in("errors", 0, "request_id").(string); rid == "" || rid != a.Header.Get("X-Openstack-Request-Id") {
		t.Errorf("request id %q", rid)
	}
	c.expect("no code before 1.23", c.at("1.22").send("POST", "/resource_providers", object{"name": "one"}, 409).in("errors", 0, "code"), nil)
	for _, bad := range []any{`{"name"`, `[]`, object{}, object{"name": 5}, object{"name": "x", "cows": 1}, object{"name": strings.Repeat("x", 201)}, object{"name": "x", "uuid": "y"},
		object{"name": "x", "parent_provider_uuid": "y"}, object{"name": ""}, object{"name": "x", "parent_provider_uuid": id.New()}} {
		c.send("POST", "/resource_providers", bad, 400)
	}
	c.at("1.13").send("POST", "/resource_providers", object{"name": "x", "parent_provider_uuid": uuid}, 400)

	c.at("1.36").send("PUT", "/resource_providers/"+child, object{"name": "two", "parent_provider_uuid": nil}, 400)
	c.send("PUT", "/resource_providers/"+uuid, object{"name": "one", "parent_provider_uuid": child}, 400) // a loop
	a = c.send("DELETE", "/resource_providers/"+uuid, nil, 409)
	c.expect("code", a.in("errors", 0, "code"), "placement.resource_provider.cannot_delete_parent")
	c.expect("un-parented", c.send("PUT", "/resource_providers/"+child, object{"name": "2", "parent_provider_uuid": nil}, 200).in("root_provider_uuid"), child)
	c.expect("by name", len(c.send("GET", "/resource_providers?name=2", nil, 200).in("resource_providers").([]any)), 1)
	c.send("GET", "/resource_providers?cows=1", nil, 400)
	c.send("DELETE", "/resource_providers/"+uuid, nil, 204)
	c.expect("detail", c.send("DELETE", "/resource_providers/"+uuid, nil, 404).in("errors", 0, "detail"), "No resource provider with uuid "+uuid+" found for delete")
}

func TestInventories(t *testing.T) {
	c := newClient(t)
	uuid := c.provider("one", "", object{})
	path := "/resource_providers/" + uuid + "/inventories"
	a := c.send("POST", path, object{"resource_class": "VCPU", "total": 8}, 201)
	c.expect("location", a.Header.Get("Location"), c.url+path+"/VCPU")
	c.expect("defaults", a.text, `{"allocation_ratio":1,"max_unit":2147483647,"min_unit":1,"reserved":0,"resource_provider_generation":2,"step_size":1,"total":8}`)
	c.send("POST", path, object{"resource_class": "VCPU", "total": 8}, 409)
	c.send("POST", path, object{"resource_class": "CUSTOM_NONE", "total": 8}, 400)
	c.send("POST", path, object{"resource_class": "vcpu", "total": 8}, 400)
	for _, bad := range []object{{"total": 0}, {"total": 1 << 31}, {"total": 1.5}, {"total": 8, "reserved": -1}, {"total": 8, "min_unit": 0}, {"total": 8, "cows": 1}, {}} {
		bad["resource_class"] = "DISK_GB"
		c.send("POST", path, bad, 400)
	}
	c.at("1.25").send("PUT", path, object{"resource_provider_generation": 2, "inventories": object{"VCPU": object{"total": 8, "reserved": 8}}}, 400)
	a = c.send("PUT", path, object{"resource_provider_generation": 2, "inventories": object{"VCPU": object{"total": 8, "reserved": 8}, "MEMORY_MB": object{"total": 64, "allocation_ratio": 1.5}}}, 200)
	c.expect("generation", a.in("resource_provider_generation"), 3)
	c.expect("ratio", a.in("inventories", "MEMORY_MB", "allocation_ratio"), 1.5)
	a = c.send("PUT", path, object{"resource_provider_generation": 2, "inventories": object{}}, 409)
	c.expect("code", a.in("errors", 0, "code"), "placement.concurrent_update")
	c.send("PUT", path+"/VCPU", object{"resource_provider_generation": 3, "total": 16}, 200)
	c.send("PUT", path+"/DISK_GB", object{"resource_provider_generation": 4, "total": 16}, 400)
	c.expect("one", c.send("GET", path+"/VCPU", nil, 200).in("total"), 16)
	c.send("GET", path+"/DISK_GB", nil, 404)
	c.send("DELETE", path+"/MEMORY_MB", nil, 204)
	c.send("DELETE", path+"/MEMORY_MB", nil, 404)
	c.at("1.4").send("DELETE", path, nil, 405)
	c.send("DELETE", path, nil, 204)
	c.expect("none", fmt.Sprint(c.send("GET", path, nil, 200).body), "map[inventories:map[] resource_provider_generation:6]")
}

func TestTraitsClassesAggregates(t *testing.T) {
	c := newClient(t)
	uuid := c.provider("one", "", object{"VCPU": object{"total": 8}})
	c.at("1.5").send("PUT", "/traits/CUSTOM_GOLD", nil, 404)
	c.send("PUT", "/traits/GOLD", nil, 400)
	a := c.send("PUT", "/traits/CUSTOM_GOLD", nil, 201)
	c.expect("location", a.Header.Get("Location"), c.url+"/traits/CUSTOM_GOLD")
	c.send("PUT", "/traits/CUSTOM_GOLD", nil, 204)
	c.send("GET", "/traits/HW_CPU_X86_AVX", nil, 204)
	c.send("GET", "/traits/CUSTOM_SILVER", nil, 404)
	c.send("DELETE", "/traits/HW_CPU_X86_AVX", nil, 400)
	path := "/resource_providers/" + uuid + "/traits"
	c.send("PUT", path, object{"traits": []string{"CUSTOM_GOLD", "CUSTOM_SILVER"}, "resource_provider_generation": 1}, 400)
	c.send("PUT", path, object{"traits": []string{"CUSTOM_GOLD"}, "resource_provider_generation": 0}, 409)
	a = c.send("PUT", path, object{"traits": []string{"CUSTOM_GOLD", "HW_CPU_X86_AVX"}, "resource_provider_generation": 1}, 200)
	c.expect("traits", a.text, `{"resource_provider_generation":2,"traits":["CUSTOM_GOLD","HW_CPU_X86_AVX"]}`)
	c.expect("associated", c.send("GET", "/traits?associated=true", nil, 200).in("traits"), []any{"HW_CPU_X86_AVX", "CUSTOM_GOLD"})
	c.expect("by prefix", c.send("GET", "/traits?name=startswith:CUSTOM_", nil, 200).in("traits"), []any{"CUSTOM_GOLD"})
	c.expect("by name", c.send("GET", "/traits?name=in:HW_CPU_X86_SSE,CUSTOM_GOLD,X", nil, 200).in("traits"), []any{"HW_CPU_X86_SSE", "CUSTOM_GOLD"})
	c.send("DELETE", "/traits/CUSTOM_GOLD", nil, 409)
	c.expect("filter", len(c.send("GET", "/resource_providers?required=CUSTOM_GOLD,!HW_CPU_X86_SSE", nil, 200).in("resource_providers").([]any)), 1)
	c.send("DELETE", path, nil, 204)
	c.send("DELETE", "/traits/CUSTOM_GOLD", nil, 204)

	c.send("POST", "/resource_classes", object{"name": "COWS"}, 400)
	c.send("POST", "/resource_classes", object{"name": "CUSTOM_COWS"}, 201)
	c.send("POST", "/resource_classes", object{"name": "CUSTOM_COWS"}, 409)
	c.at("1.6").send("PUT", "/resource_classes/CUSTOM_COWS", object{"name": "CUSTOM_PIGS"}, 200)
	c.at("1.6").send("PUT", "/resource_classes/VCPU", object{"name": "CUSTOM_X"}, 400)
	c.send("PUT", "/resource_classes/CUSTOM_PIGS", nil, 204)
	c.send("PUT", "/resource_classes/CUSTOM_HENS", nil, 201)
	c.send("GET", "/resource_classes/CUSTOM_COWS", nil, 404)
	classes := c.send("GET", "/resource_classes", nil, 200).in("resource_classes").([]any)
	if first, _ := classes[0].(object); len(classes) != 23 || first["name"] != "VCPU" {
		t.Errorf("%d classes, first %v", len(classes), first)
	}
	c.send("DELETE", "/resource_classes/VCPU", nil, 400)
	c.send("DELETE", "/resource_classes/CUSTOM_HENS", nil, 204)

	group, path := id.New(), "/resource_providers/"+uuid+"/aggregates"
	c.at("1.18").send("PUT", path, []string{group}, 200)
	c.send("PUT", path, []string{group}, 400)
	c.send("PUT", path, object{"aggregates": []string{"x"}, "resource_provider_generation": 3}, 400)
	a = c.send("PUT", path, object{"aggregates": []string{group}, "resource_provider_generation": 3}, 200)
	c.expect("generation", a.in("resource_provider_generation"), 4)
	c.expect("old form", c.at("1.18").send("GET", path, nil, 200).text, `{"aggregates":["`+group+`"]}`)
	c.expect("member", len(c.send("GET", "/resource_providers?member_of="+group, nil, 200).in("resource_providers").([]any)), 1)
	c.expect("no member", len(c.send("GET", "/resource_providers?member_of=!"+group, nil, 200).in("resource_providers").([]any)), 0)
}

func TestAllocations(t *testing.T) {
	c := newClient(t)
	uuid := c.provider("one", "", object{"VCPU": object{"total": 8}, "MEMORY_MB": object{"total": 64}})
	consumer := id.New()
	path := "/allocations/" + consumer
	body := func(vcpus int, generation any) object {
		return object{"allocations": object{uuid: object{"resources": object{"VCPU": vcpus}}}, "project_id": "p1", "user_id": "u1", "consumer_generation": generation, "consumer_type": "INSTANCE"}
	}
	c.expect("none", c.send("GET", path, nil, 200).text, `{"allocations":{}}`)
	c.send("PUT", path, body(4, 3), 409)
	c.send("PUT", path, body(4, nil), 204)
	c.expect("code", c.send("PUT", path, body(4, nil), 409).in("errors", 0, "code"), "placement.concurrent_update")
	a := c.send("GET", path, nil, 200)
	c.expect("all", a.text, `{"allocations":{"`+uuid+`":{"generation":2,"resources":{"VCPU":4}}},"consumer_generation":1,"consumer_type":"INSTANCE","project_id":"p1","user_id":"u1"}`)
	a = c.send("PUT", path, body(9, 1), 409)
	if detail, _ := a.in("errors", 0, "detail").(string); !strings.Contains(detail, "Unable to allocate inventory: Unable to create allocation for 'VCPU'") {
		t.Errorf("detail %q", detail)
	}
	c.expect("usages", c.send("GET", "/resource_providers/"+uuid+"/usages", nil, 200).in("usages"), object{"VCPU": 4, "MEMORY_MB": 0})
	c.expect("of the provider", c.send("GET", "/resource_providers/"+uuid+"/allocations", nil, 200).in("allocations", consumer), object{"resources": object{"VCPU": 4}, "consumer_generation": 1})
	c.expect("of the project", c.send("GET", "/usages?project_id=p1", nil, 200).text, `{"usages":{"INSTANCE":{"VCPU":4,"consumer_count":1}}}`)
	c.expect("before 1.38", c.at("1.37").send("GET", "/usages?project_id=p1", nil, 200).text, `{"usages":{"VCPU":4}}`)
	c.expect("in use", c.send("DELETE", "/resource_providers/"+uuid, nil, 409).in("errors", 0, "code"), "placement.resource_provider.inuse")
	c.expect("in use", c.send("DELETE", "/resource_providers/"+uuid+"/inventories", nil, 409).in("errors", 0, "code"), "placement.inventory.inuse")
	for _, edit := range []func(b object){func(b object) { delete(b, "project_id") }, func(b object) { b["consumer_type"] = "instance" }, func(b object) { b["cows"] = 1 },
		func(b object) { b["allocations"] = object{"x": object{"resources": object{"VCPU": 1}}} }, func(b object) { b["allocations"] = object{id.New(): object{"resources": object{"VCPU": 1}}} },
		func(b object) { b["allocations"] = object{uuid: object{"resources": object{}}} }, func(b object) { b["allocations"] = object{uuid: object{"resources": object{"CUSTOM_X": 1}}} },
		func(b object) { b["allocations"] = object{uuid: object{"resources": object{"VCPU": 0}}} }, func(b object) { b["mappings"] = object{"": []string{"x"}} }} {
		bad := body(4, 1)
		edit(bad)
		c.send("PUT", path, bad, 400)
	}
	c.send("PUT", "/allocations/x", body(4, nil), 400)
	c.at("1.7").send("PUT", "/allocations/"+id.New(), object{"allocations": []any{object{"resource_provider": object{"uuid": uuid}, "resources": object{"VCPU": 1}}}}, 204)
	other := id.New()
	moved := object{consumer: body(4, 1), other: body(1, nil)}
	moved[consumer].(object)["allocations"] = object{}
	c.send("POST", "/allocations", moved, 204)
	c.expect("moved", c.send("GET", "/resource_providers/"+uuid+"/usages", nil, 200).in("usages", "VCPU"), 2)
	c.send("DELETE", "/allocations/"+other, nil, 204)
	c.send("DELETE", "/allocations/"+other, nil, 404)
}

func TestCandidates(t *testing.T) {
	c := newClient(t)
	host := c.provider("host", "", object{"VCPU": object{"total": 8}, "MEMORY_MB": object{"total": 64}})
	nic := c.provider("nic", host, object{"SRIOV_NET_VF": object{"total": 4}})
	c.send("PUT", "/resource_providers/"+nic+"/traits", object{"traits": []string{"HW_NIC_SRIOV"}, "resource_provider_generation": 1}, 200)
	a := c.send("GET", "/allocation_candidates?resources=VCPU:1&resources_NET=SRIOV_NET_VF:2&required_NET=in:HW_NIC_SRIOV,HW_NIC_MULTIQUEUE", nil, 200)
	c.expect("requests", a.in("allocation_requests"), []any{object{"allocations": object{host: object{"resources": object{"VCPU": 1}}, nic: object{"resources": object{"SRIOV_NET_VF": 2}}},
		"mappings": object{"": []any{host}, "_NET": []any{nic}}}})
	c.expect("summary", a.in("provider_summaries", nic), object{"resources": object{"SRIOV_NET_VF": object{"capacity": 4, "used": 0}}, "traits": []any{"HW_NIC_SRIOV"},
		"parent_provider_uuid": host, "root_provider_uuid": host})
	a = c.at("1.10").send("GET", "/allocation_candidates?resources=VCPU:1", nil, 200)
	c.expect("the list of 1.10", a.in("allocation_requests"), []any{object{"allocations": []any{object{"resource_provider": object{"uuid": host}, "resources": object{"VCPU": 1}}}}})
	c.expect("the summary of 1.10", a.in("provider_summaries"), object{host: object{"resources": object{"VCPU": object{"capacity": 8, "used": 0}}}})
	c.expect("no trees before 1.29", len(c.at("1.28").send("GET", "/allocation_candidates?resources=VCPU:1,SRIOV_NET_VF:1", nil, 200).in("allocation_requests").([]any)), 0)
	c.expect("nothing fits", c.send("GET", "/allocation_candidates?resources=VCPU:9", nil, 200).text, `{"allocation_requests":[],"provider_summaries":{}}`)
	c.expect("unknown class", c.send("GET", "/allocation_candidates?resources=COWS:9", nil, 400).in("errors", 0, "detail"), "Invalid resource class in resources parameter: No such resource class COWS.")
	c.expect("unknown trait", c.send("GET", "/allocation_candidates?resources=VCPU:9&required=COWS", nil, 400).in("errors", 0, "detail"), "No such trait(s): COWS.")
	c.at("1.9").send("GET", "/allocation_candidates?resources=VCPU:1", nil, 404)
	// What is answered can be claimed as it is.
	first, _ := a.in("allocation_requests", 0).(object)
	c.at("1.10").send("PUT", "/allocations/"+id.New(), object{"allocations": first["allocations"], "project_id": "p1", "user_id": "u1"}, 204)
}

func TestReshaper(t *testing.T) {
	c := newClient(t)
	host, consumer := c.provider("host", "", object{"VCPU": object{"total": 8}, "VGPU": object{"total": 2}}), id.New()
	gpu := c.provider("gpu", host, object{})
	allocations := func(of string, generation any) object {
		return object{consumer: object{"allocations": object{of: object{"resources": object{"VGPU": 2}}}, "project_id": "p1", "user_id": "u1", "consumer_generation": generation, "consumer_type": "INSTANCE"}}
	}
	c.send("PUT", "/allocations/"+consumer, allocations(host, nil)[consumer], 204)
	inventories := func(generation int) object {
		return object{host: object{"resource_provider_generation": generation, "inventories": object{"VCPU": object{"total": 8}}},
			gpu: object{"resource_provider_generation": 1, "inventories": object{"VGPU": object{"total": 2}}}}
	}
	c.expect("in use", c.send("POST", "/reshaper", object{"inventories": inventories(2), "allocations": object{}}, 409).in("errors", 0, "code"), "placement.inventory.inuse")
	c.expect("stale", c.send("POST", "/reshaper", object{"inventories": inventories(1), "allocations": allocations(gpu, 1)}, 409).in("errors", 0, "code"), "placement.concurrent_update")
	c.send("POST", "/reshaper", object{"inventories": inventories(2), "allocations": allocations(gpu, 1)}, 204)
	c.expect("moved", c.send("GET", "/resource_providers/"+gpu+"/usages", nil, 200).in("usages"), object{"VGPU": 2})
	c.expect("gone", c.send("GET", "/resource_providers/"+host+"/usages", nil, 200).in("usages"), object{"VCPU": 0})
	c.as("admin@p1").send("POST", "/reshaper", object{"inventories": inventories(2), "allocations": object{}}, 403)
	c.at("1.29").send("POST", "/reshaper", object{}, 404)
}

func TestHTTP(t *testing.T) {
	c := newClient(t)
	c.as("").send("GET", "/resource_providers", nil, 401)
	c.as("member,reader@p1").send("GET", "/resource_providers", nil, 403)
	c.as("reader@p1").send("GET", "/usages?project_id=p1", nil, 200)
	c.as("reader@p2").send("GET", "/usages?project_id=p1", nil, 403)
	c.send("GET", "/usages", nil, 400)
	c.send("GET", "/cows", nil, 404)
	a := c.send("PATCH", "/resource_providers", nil, 405)
	c.expect("allow", a.Header.Get("Allow"), "GET, POST")
	c.expect("code", a.in("errors", 0, "code"), "placement.undefined_code")
	a = c.at("1.40").send("GET", "/", nil, 406)
	c.expect("window", fmt.Sprintf("%v %v", a.in("errors", 0, "min_version"), a.in("errors", 0, "max_version")), "1.0 1.39")
	c.at("x").send("GET", "/", nil, 400)
	for header, want := range map[[2]string]int{{"Accept", "text/plain"}: 406, {"Accept", "text/html,*/*;q=0.1"}: 200} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", c.url+"/resource_providers", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(header[0], header[1])
		r.Header.Set("X-Auth-Token", c.token)
		c.do(r, want)
	}
	for kind, want := range map[string]int{"": 400, "text/plain": 415} {
		r, err := http.NewRequestWithContext(t.Context(), "POST", c.url+"/resource_providers", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if kind != "" {
			r.Header.Set("Content-Type", kind)
		}
		r.Header.Set("X-Auth-Token", c.token)
		c.do(r, want)
	}
}

// Every route names a rule that upstream names, and only administrators and
// services may use what is not a project's own.
func TestRoleMatrix(t *testing.T) {
	svc := placementapi.New(dbtest.One(t), clock.Real{}).REST()
	enforcer, err := policy.New(policy.Base(), svc.Rules)
	if err != nil {
		t.Fatal(err)
	}
	personas := map[string]*policy.Credentials{"admin": {ProjectID: "p1", Roles: []string{"admin", "manager", "member", "reader"}}, "reader": {ProjectID: "p1", Roles: []string{"reader"}},
		"foreign": {ProjectID: "p2", Roles: []string{"manager", "member", "reader"}}, "service": {ProjectID: "p9", Roles: []string{"service"}}, "system": {SystemScope: "all", Roles: []string{"admin"}}}
	for _, r := range svc.Routes {
		if r.Open {
			continue
		}
		var may []string
		for name, who := range personas {
			if enforcer.Allow(r.Rule, who, policy.Target{"project_id": "p1"}) {
				may = append(may, name)
			}
		}
		slices.Sort(may)
		want := "admin service"
		switch r.Rule {
		case "placement:usages":
			want = "admin reader service"
		case "placement:reshaper:reshape":
			want = "service"
		}
		if got := strings.Join(may, " "); got != want || !strings.HasPrefix(r.Rule, "placement:") {
			t.Errorf("%s %s by %s: %s, want %s", r.Method, r.Path, r.Rule, got, want)
		}
	}
}
