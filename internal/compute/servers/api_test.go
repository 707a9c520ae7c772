package servers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/sim"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
	"github.com/mekcloud/mek/internal/task/tasktest"
)

type tokens map[string]*policy.Credentials

func (t tokens) Authenticate(_ context.Context, token string) (*policy.Credentials, error) {
	if c := t[token]; c != nil {
		return c, nil
	}
	return nil, fault.New(fault.Unauthenticated, "no")
}

// front is a cloud of one service, by HTTP.
type front struct {
	*surroundings
	url string
}

func newFront(t *testing.T) *front { return frontOn(t, dbtest.One(t)) }

func frontOn(t *testing.T, d *db.DB) *front {
	t.Helper()
	w := surroundingsOn(t, d)
	engine := w.open(tasktest.Options(w.db, nil))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- engine.Run(ctx) }()
	enforcer, err := policy.New(policy.Base(), Rules())
	if err != nil {
		t.Fatal(err)
	}
	routes := append(w.servers.Routes(), rest.Route{Method: "POST", Path: "/v2.1/servers/{id}/action", Actions: w.servers.Actions()})
	service := &rest.Service{Name: "nova", Type: "compute", Prefix: "/compute", Policy: enforcer, Routes: routes, Dialect: rest.Dialect{
		Versions: &rest.Versions{Min: compute.MinVersion, Max: compute.MaxVersion, Types: []string{"compute"}}, List: rest.ListStyle{MaxLimit: 1000,
			Links: func(c *rest.Call, many string, body map[string]any, p rest.PageLinks) {
				if p.Next != nil {
					body[many+"_links"] = []map[string]string{{"rel": "next", "href": c.Root() + c.Request.URL.Path + "?" + p.Next.Encode()}}
				}
			}}}}
	auth := tokens{"member": {UserID: "user", ProjectID: project, Roles: []string{"member", "reader"}},
		"reader": {UserID: "r", ProjectID: project, Roles: []string{"reader"}},
		"other":  {UserID: "o", ProjectID: "66666666-6666-4666-8666-666666666666", Roles: []string{"member", "reader"}},
		"admin":  {UserID: "a", ProjectID: "77777777-7777-4777-8777-777777777777", Roles: []string{"admin", "member", "reader"}}}
	server := httptest.NewServer(rest.New(rest.Config{Auth: auth, Clock: clock.Real{}, Log: slog.New(slog.DiscardHandler)}, http.NotFoundHandler(), service))
	t.Cleanup(func() {
		server.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return &front{w, server.URL + "/compute/v2.1"}
}

// do sends a request and answers the status and the body.
func (f *front) do(token, version, method, path, body string) (int, map[string]any, http.Header) {
	f.t.Helper()
	r, err := http.NewRequest(method, f.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header.Set("X-Auth-Token", token)
	r.Header.Set("OpenStack-API-Version", "compute "+version)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	var out map[string]any
	if len(text) > 0 {
		if err := json.Unmarshal(text, &out); err != nil {
			f.t.Fatalf("%s: %v", text, err)
		}
	}
	return a.StatusCode, out, a.Header
}

// want is do that fails the test on another status.
func (f *front) want(status int, token, version, method, path, body string) map[string]any {
	f.t.Helper()
	got, out, _ := f.do(token, version, method, path, body)
	if got != status {
		f.t.Fatalf("%s %s %s: %d %v, want %d", token, method, path, got, out, status)
	}
	return out
}

func (f *front) idle() {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := f.engine.Idle(ctx); err != nil {
		f.t.Fatal(err)
	}
}

// hold makes the host wait in every call of a kind until the answer is called,
// once or more often.
func (f *front) hold(kind string) (release func()) {
	held := make(chan struct{})
	f.fail = func(call, _ string) sim.Fault {
		if call == kind {
			<-held
		}
		return sim.Fault{}
	}
	return sync.OnceFunc(func() { close(held) })
}

const plainBody = `{"server":{"name":"one","flavorRef":"small","imageRef":"` + imageA + `","networks":"auto","key_name":"mine"}}`

// boot makes a server by the API and answers its id once it is active.
func (f *front) boot(body string) string {
	f.t.Helper()
	out := f.want(202, "member", "2.90", "POST", "/servers", body)
	f.idle()
	return out["server"].(map[string]any)["id"].(string)
}

func at(v map[string]any, path string) any {
	var x any = v
	for _, key := range strings.Split(path, ".") {
		switch n := x.(type) {
		case map[string]any:
			x = n[key]
		case []any:
			if len(n) == 0 {
				return nil
			}
			x = n[0]
			if m, ok := x.(map[string]any); ok && key != "0" {
				x = m[key]
			}
		default:
			return nil
		}
	}
	return x
}

func keysOf(v any) []string {
	m, _ := v.(map[string]any)
	return slices.Sorted(maps.Keys(m))
}

// The members of a server by version, as Nova's API reference lists them.
func TestMembersByVersion(t *testing.T) {
	f := newFront(t)
	id := f.boot(plainBody)
	base := []string{"OS-DCF:diskConfig", "OS-EXT-AZ:availability_zone", "OS-EXT-STS:power_state", "OS-EXT-STS:task_state", "OS-EXT-STS:vm_state",
		"OS-SRV-USG:launched_at", "OS-SRV-USG:terminated_at", "accessIPv4", "accessIPv6", "addresses", "config_drive", "created", "flavor", "hostId", "id", "image",
		"key_name", "links", "metadata", "name", "os-extended-volumes:volumes_attached", "progress", "security_groups", "status", "tenant_id", "updated", "user_id"}
	admin := []string{"OS-EXT-SRV-ATTR:host", "OS-EXT-SRV-ATTR:hypervisor_hostname", "OS-EXT-SRV-ATTR:instance_name"}
	admin3 := []string{"OS-EXT-SRV-ATTR:hostname", "OS-EXT-SRV-ATTR:kernel_id", "OS-EXT-SRV-ATTR:launch_index", "OS-EXT-SRV-ATTR:ramdisk_id",
		"OS-EXT-SRV-ATTR:reservation_id", "OS-EXT-SRV-ATTR:root_device_name", "OS-EXT-SRV-ATTR:user_data"}
	steps := []struct {
		version string
		all     []string // members that everybody sees from here on
		admin   []string
	}{{"2.1", base, admin}, {"2.3", nil, admin3}, {"2.9", []string{"locked"}, nil}, {"2.16", nil, []string{"host_status"}}, {"2.19", []string{"description"}, nil},
		{"2.26", []string{"tags"}, nil}, {"2.47", nil, nil}, {"2.63", []string{"trusted_image_certificates"}, nil}, {"2.71", []string{"server_groups"}, nil},
		{"2.73", []string{"locked_reason"}, nil}, {"2.75", nil, nil}, {"2.90", []string{"OS-EXT-SRV-ATTR:hostname"}, nil}, {"2.93", nil, nil}}
	seen := map[string][]string{}
	for _, s := range steps {
		seen["member"] = append(seen["member"], s.all...)
		seen["admin"] = append(append(seen["admin"], s.all...), s.admin...)
		for token, want := range seen {
			slices.Sort(want)
			want = slices.Compact(slices.Clone(want))
			got := keysOf(at(f.want(200, token, s.version, "GET", "/servers/"+id, ""), "server"))
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("show at %s as %s: %s", s.version, token, d)
			}
			list := slices.DeleteFunc(slices.Clone(want), func(k string) bool { return k == "server_groups" })
			got = keysOf(at(f.want(200, token, s.version, "GET", "/servers/detail?all_tenants="+fmt.Sprint(token == "admin"), ""), "servers.0"))
			if d := cmp.Diff(list, got); d != "" {
				t.Errorf("list at %s as %s: %s", s.version, token, d)
			}
		}
	}
	if got := keysOf(at(f.want(200, "member", "2.1", "GET", "/servers", ""), "servers.0")); fmt.Sprint(got) != "[id links name]" {
		t.Errorf("brief: %v", got)
	}
	flavor := at(f.want(200, "member", "2.47", "GET", "/servers/"+id, ""), "server.flavor")
	if got := fmt.Sprint(keysOf(flavor)); got != "[disk ephemeral extra_specs original_name ram swap vcpus]" {
		t.Errorf("embedded flavor: %s", got)
	}
	if got := fmt.Sprint(keysOf(at(f.want(200, "member", "2.46", "GET", "/servers/"+id, ""), "server.flavor"))); got != "[id links]" {
		t.Errorf("flavor: %s", got)
	}
	put := `{"server":{"name":"two"}}`
	if got := fmt.Sprint(keysOf(at(f.want(200, "member", "2.1", "PUT", "/servers/"+id, put), "server"))); got !=
		"[OS-DCF:diskConfig accessIPv4 accessIPv6 addresses created flavor hostId id image links metadata name progress status tenant_id updated user_id]" {
		t.Errorf("update at 2.1: %s", got)
	}
	if n := len(keysOf(at(f.want(200, "member", "2.93", "PUT", "/servers/"+id, put), "server"))); n != len(base)+7 {
		t.Errorf("update at 2.93 has %d members", n)
	}
}

func TestCreateShowDelete(t *testing.T) {
	f := newFront(t)
	status, out, header := f.do("member", "2.1", "POST", "/servers", `{"server":{"name":"My Server_1","flavorRef":"small","imageRef":"`+imageA+`",
		"metadata":{"a":"b"},"config_drive":"yes","user_data":"aGVsbG8=","personality":[{"path":"/etc/x","contents":"aGk="}],"adminPass":"secret"},
		"os:scheduler_hints":{"different_host":[]}}`)
	id, _ := at(out, "server.id").(string)
	if status != 202 || !strings.HasSuffix(header.Get("Location"), "/servers/"+id) ||
		fmt.Sprint(keysOf(out["server"])) != "[OS-DCF:diskConfig adminPass id links security_groups]" || at(out, "server.adminPass") != "secret" {
		t.Fatalf("%d %v %v", status, out, header)
	}
	f.idle()
	s := f.want(200, "member", "2.19", "GET", "/servers/"+id, "")
	for path, want := range map[string]any{"status": "ACTIVE", "config_drive": "True", "OS-EXT-STS:power_state": 1.0, "OS-EXT-STS:task_state": nil,
		"OS-EXT-AZ:availability_zone": "nova", "addresses.private.addr": "10.0.0.5", "addresses.private.OS-EXT-IPS:type": "fixed", "image.id": imageA,
		"metadata.a": "b", "key_name": nil, "description": "My Server_1", "accessIPv4": "", "security_groups.name": "default", "OS-SRV-USG:terminated_at": nil,
		"tenant_id": project} {
		if got := at(s["server"].(map[string]any), path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	if _, err := time.Parse("2006-01-02T15:04:05Z", at(s, "server.created").(string)); err != nil {
		t.Error(err)
	}
	body, _, err := f.servers.Render(context.Background(), "host-a")
	if err != nil {
		t.Fatal(err)
	}
	spec := body.(guest.Document).Guests[0]
	if err := spec.Check(); err != nil {
		t.Error(err)
	}
	if string(spec.Metadata.UserData) != "hello" || spec.Metadata.Files[0].Path != "etc/x" || !strings.Contains(string(spec.Metadata.MetaData), `"hostname":"my-server-1.novalocal"`) ||
		!strings.Contains(string(spec.Metadata.NetworkData), `"ipv4"`) || !spec.ConfigDrive {
		t.Errorf("%s %s %+v", spec.Metadata.MetaData, spec.Metadata.NetworkData, spec)
	}
	f.want(404, "other", "2.1", "GET", "/servers/"+id, "")
	f.want(404, "other", "2.1", "DELETE", "/servers/"+id, "")
	f.want(403, "reader", "2.1", "DELETE", "/servers/"+id, "")
	f.want(204, "member", "2.1", "DELETE", "/servers/"+id, "")
	f.idle()
	if got := at(f.want(404, "member", "2.1", "GET", "/servers/"+id, ""), "error.message"); got != "Instance "+id+" could not be found." {
		t.Error(got)
	}
	f.want(404, "member", "2.1", "DELETE", "/servers/"+id, "")
}

func TestCreateRefuses(t *testing.T) {
	f := newFront(t)
	server := func(more string) string {
		return `{"server":{"name":"x","flavorRef":"small","imageRef":"` + imageA + `","networks":"none"` + more + `}}`
	}
	for name, c := range map[string]struct {
		status  int
		version string
		body    string
		text    string
	}{
		"no name":           {400, "2.1", `{"server":{"flavorRef":"small"}}`, "'name' is a required property"},
		"empty":             {400, "2.1", ``, "empty"},
		"not JSON":          {400, "2.1", `{`, "not valid JSON"},
		"no networks":       {400, "2.37", `{"server":{"name":"x","flavorRef":"small","imageRef":"` + imageA + `"}}`, "'networks' is a required property"},
		"word for networks": {400, "2.36", server(""), "not of type 'array'"},
		"bad network":       {400, "2.1", `{"server":{"name":"x","flavorRef":"small","imageRef":"` + imageA + `","networks":[{"uuid":"x"}]}}`, "Bad networks format"},
		"unknown field":     {400, "2.90", server(`,"color":"red"`), "Additional properties"},
		"too new":           {400, "2.51", server(`,"tags":["a"]`), "Additional properties"},
		"flavor":            {400, "2.90", strings.Replace(server(""), "small", "huge", 1), "Flavor huge could not be found."},
		"image":             {400, "2.90", strings.Replace(server(""), imageA, volumeA, 1), "Can not find requested image"},
		"image word":        {400, "2.90", strings.Replace(server(""), imageA, "cirros", 1), "Invalid imageRef provided."},
		"no root":           {400, "2.90", strings.Replace(server(""), imageA, "", 1), "Invalid imageRef provided."},
		"key":               {400, "2.90", server(`,"key_name":"nobody"`), "Invalid key_name provided."},
		"user data":         {400, "2.90", server(`,"user_data":"%%%"`), "base 64"},
		"metadata":          {403, "2.90", server(`,"metadata":{"a":"1","b":"2","c":"3"}`), "Maximum number of metadata items exceeds 2"},
		"metadata key":      {400, "2.90", server(`,"metadata":{"a/b":"1"}`), "unexpected"},
		"zone":              {400, "2.90", server(`,"availability_zone":"mars"`), "The requested availability zone is not available"},
		"forced host":       {403, "2.90", server(`,"availability_zone":"nova:host-a"`), "forced_host"},
		"counts":            {400, "2.90", server(`,"min_count":3,"max_count":2`), "min_count must be <= max_count"},
		"address":           {400, "2.90", server(`,"accessIPv4":"::1"`), "IPv4"},
		"mapping":           {400, "2.90", server(`,"block_device_mapping_v2":[{"source_type":"volume","uuid":"` + imageA + `"}]`), "failed to get volume"},
		"large ephemeral":   {400, "2.90", server(`,"block_device_mapping_v2":[{"source_type":"blank","destination_type":"local","volume_size":9}]`), "larger"},
		"tag":               {400, "2.90", server(`,"tags":["a,b"]`), "tag"},
		"hint":              {400, "2.90", strings.TrimSuffix(server(""), "}") + `,"os:scheduler_hints":{"group":"x"}}`, "uuid"},
	} {
		status, out, _ := f.do("member", c.version, "POST", "/servers", c.body)
		text, _ := at(out, "error.message").(string)
		if status != c.status || !strings.Contains(text, c.text) {
			t.Errorf("%s: %d %q, want %d %q", name, status, text, c.status, c.text)
		}
	}
	f.check(t, 0, 0, 0, 1, 0, false)
	if out := f.want(200, "member", "2.1", "GET", "/servers", ""); len(out["servers"].([]any)) != 0 {
		t.Errorf("%v", out)
	}
}

func TestMultiCreateAndLists(t *testing.T) { dbtest.Each(t, onMultiCreateAndLists) }

func onMultiCreateAndLists(t *testing.T, d *db.DB) {
	f := frontOn(t, d)
	out := f.want(202, "member", "2.90", "POST", "/servers", strings.Replace(plainBody, `"key_name"`, `"min_count":3,"return_reservation_id":true,"tags":["x","y"],"key_name"`, 1))
	reservation, _ := out["reservation_id"].(string)
	f.idle()
	f.boot(strings.Replace(plainBody, `"one"`, `"zebra"`, 1))
	names := func(query string) string {
		t.Helper()
		var out []string
		for _, s := range f.want(200, "member", "2.90", "GET", "/servers?"+query, "")["servers"].([]any) {
			out = append(out, s.(map[string]any)["name"].(string))
		}
		return strings.Join(out, " ")
	}
	for query, want := range map[string]string{
		"sort_key=display_name&sort_dir=asc":                 "one-1 one-2 one-3 zebra",
		"sort_key=display_name&sort_dir=desc&limit=1":        "zebra",
		"name=^one-[12]$&sort_key=display_name&sort_dir=asc": "one-1 one-2",
		"reservation_id=" + reservation + "&name=3":          "one-3",
		"status=ACTIVE&name=zebra":                           "zebra",
		"status=SHUTOFF":                                     "",
		"status=NONSENSE":                                    "",
		"flavor=small&image=" + imageA + "&name=zebra":       "zebra",
		"flavor=other":                                       "",
		"tags=x,y&name=one-1":                                "one-1",
		"tags=x,z":                                           "",
		"not-tags-any=x":                                     "zebra",
		"not-tags=x,z&name=zebra":                            "zebra",
		"ip=10.0.0&name=zebra":                               "zebra",
		"ip=10.0.1":                                          "",
		"key_name=mine&name=zebra":                           "zebra",
		"changes-since=2999-01-01T00:00:00Z":                 "",
		"host=nowhere&name=zebra":                            "zebra", // not a member's filter: ignored
	} {
		if got := names(query); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	page := f.want(200, "member", "2.90", "GET", "/servers?limit=3", "")
	if at(page, "servers_links.rel") != "next" {
		t.Errorf("%v", page)
	}
	f.want(403, "member", "2.90", "GET", "/servers?all_tenants=1", "")
	f.want(400, "member", "2.90", "GET", "/servers?marker=nobody", "")
	f.want(400, "member", "2.90", "GET", "/servers?name=[", "")
	f.want(400, "member", "2.90", "GET", "/servers?sort_key=nonsense", "")
	if n := len(f.want(200, "admin", "2.90", "GET", "/servers?all_tenants=1&host=host-a", "")["servers"].([]any)); n != 4 {
		t.Errorf("an administrator sees %d", n)
	}
	if n := len(f.want(200, "other", "2.90", "GET", "/servers/detail", "")["servers"].([]any)); n != 0 {
		t.Errorf("another project sees %d", n)
	}
}

func TestActions(t *testing.T) { dbtest.Each(t, onActions) }

func onActions(t *testing.T, d *db.DB) {
	f := frontOn(t, d)
	id := f.boot(plainBody)
	path := "/servers/" + id + "/action"
	status := func() string {
		return at(f.want(200, "member", "2.1", "GET", "/servers/"+id, ""), "server.status").(string)
	}
	for _, c := range []struct{ body, after string }{
		{`{"os-stop":null}`, "SHUTOFF"}, {`{"os-start":null}`, "ACTIVE"}, {`{"pause":null}`, "PAUSED"}, {`{"unpause":null}`, "ACTIVE"},
		{`{"suspend":null}`, "SUSPENDED"}, {`{"resume":null}`, "ACTIVE"}, {`{"reboot":{"type":"SOFT"}}`, "ACTIVE"}, {`{"reboot":{"type":"HARD"}}`, "ACTIVE"},
	} {
		f.want(202, "member", "2.1", "POST", path, c.body)
		f.idle()
		if got := status(); got != c.after {
			t.Errorf("%s: %s", c.body, got)
		}
	}
	out := f.want(409, "member", "2.1", "POST", path, `{"os-start":null}`)
	if got := at(out, "error.message"); got != "Cannot 'start' instance "+id+" while it is in vm_state active" {
		t.Error(got)
	}
	f.want(400, "member", "2.1", "POST", path, `{"reboot":{"type":"GENTLE"}}`)
	f.want(400, "member", "2.1", "POST", path, `{"reboot":null}`)
	f.want(404, "other", "2.1", "POST", path, `{"os-stop":null}`)
	f.want(403, "reader", "2.1", "POST", path, `{"os-stop":null}`)
	f.want(403, "member", "2.1", "POST", path, `{"os-resetState":{"state":"error"}}`)
	f.want(202, "admin", "2.1", "POST", path, `{"os-resetState":{"state":"error"}}`)
	if status() != "ERROR" {
		t.Error("not reset")
	}
	f.want(202, "admin", "2.1", "POST", path, `{"os-resetState":{"state":"active"}}`)
	f.want(202, "member", "2.1", "POST", path, `{"lock":null}`)
	f.want(202, "member", "2.73", "POST", path, `{"lock":{"locked_reason":"because"}}`)
	s := f.want(200, "member", "2.73", "GET", "/servers/"+id, "")
	if at(s, "server.locked") != true || at(s, "server.locked_reason") != "because" {
		t.Errorf("%v", s)
	}
	f.want(409, "member", "2.1", "POST", path, `{"os-stop":null}`)
	f.want(409, "member", "2.1", "DELETE", "/servers/"+id, "")
	f.want(202, "member", "2.1", "POST", path, `{"unlock":null}`)
	f.want(202, "admin", "2.1", "POST", path, `{"lock":null}`)
	f.want(403, "member", "2.1", "POST", path, `{"unlock":null}`)
	f.want(202, "admin", "2.1", "POST", path, `{"unlock":null}`)
	console := f.want(200, "member", "2.1", "POST", path, `{"os-getConsoleOutput":{"length":2}}`)
	if text, _ := console["output"].(string); !strings.Contains(text, "login:") {
		t.Errorf("console: %q", text)
	}
	f.want(200, "member", "2.1", "POST", path, `{"os-getConsoleOutput":{}}`)
	f.want(400, "member", "2.1", "POST", path, `{"os-getConsoleOutput":{"length":"x"}}`)
	log := f.want(200, "member", "2.62", "GET", "/servers/"+id+"/os-instance-actions", "")
	entries := log["instanceActions"].([]any)
	last := entries[len(entries)-1].(map[string]any)
	if last["action"] != "create" || fmt.Sprint(keysOf(last)) != "[action instance_uuid message project_id request_id start_time updated_at user_id]" {
		t.Errorf("%v", last)
	}
	entry := f.want(200, "member", "2.62", "GET", "/servers/"+id+"/os-instance-actions/"+last["request_id"].(string), "")
	if at(entry, "instanceAction.events.result") != "Success" || at(entry, "instanceAction.events.event") != "compute__do_build_and_run_instance" {
		t.Errorf("%v", entry)
	}
	f.want(404, "member", "2.62", "GET", "/servers/"+id+"/os-instance-actions/req-nobody", "")
	f.want(202, "member", "2.1", "POST", path, `{"forceDelete":null}`)
	f.idle()
	f.check(t, 0, 0, 0, 1, 0, false)
}

func TestMetadataTagsAndAddresses(t *testing.T) { dbtest.Each(t, onMetadataTagsAndAddresses) }

func onMetadataTagsAndAddresses(t *testing.T, d *db.DB) {
	f := frontOn(t, d)
	id := f.boot(plainBody)
	p := "/servers/" + id
	f.want(200, "member", "2.1", "POST", p+"/metadata", `{"metadata":{"a":"1"}}`)
	f.want(200, "member", "2.1", "PUT", p+"/metadata/b", `{"meta":{"b":"2"}}`)
	if got := fmt.Sprint(f.want(200, "member", "2.1", "GET", p+"/metadata", "")); got != "map[metadata:map[a:1 b:2]]" {
		t.Error(got)
	}
	f.want(403, "member", "2.1", "POST", p+"/metadata", `{"metadata":{"c":"3"}}`)
	f.want(400, "member", "2.1", "PUT", p+"/metadata/b", `{"meta":{"x":"2"}}`)
	f.want(204, "member", "2.1", "DELETE", p+"/metadata/a", "")
	f.want(404, "member", "2.1", "DELETE", p+"/metadata/a", "")
	f.want(404, "member", "2.1", "GET", p+"/metadata/a", "")
	if got := fmt.Sprint(f.want(200, "member", "2.1", "PUT", p+"/metadata", `{"metadata":{"z":"9"}}`)); got != "map[metadata:map[z:9]]" {
		t.Error(got)
	}
	f.want(404, "member", "2.25", "GET", p+"/tags", "")
	f.want(201, "member", "2.26", "PUT", p+"/tags/blue", "")
	f.want(204, "member", "2.26", "PUT", p+"/tags/blue", "")
	f.want(204, "member", "2.26", "GET", p+"/tags/blue", "")
	f.want(404, "member", "2.26", "GET", p+"/tags/red", "")
	if got := fmt.Sprint(f.want(200, "member", "2.26", "PUT", p+"/tags", `{"tags":["b","a"]}`)); got != "map[tags:[a b]]" {
		t.Error(got)
	}
	f.want(204, "member", "2.26", "DELETE", p+"/tags/a", "")
	f.want(404, "member", "2.26", "DELETE", p+"/tags/a", "")
	f.want(204, "member", "2.26", "DELETE", p+"/tags", "")
	if got := fmt.Sprint(f.want(200, "member", "2.1", "GET", p+"/ips", "")); got != "map[addresses:map[private:[map[addr:10.0.0.5 version:4] map[addr:203.0.113.5 version:4]]]]" {
		t.Error(got)
	}
	f.want(200, "member", "2.1", "GET", p+"/ips/private", "")
	f.want(404, "member", "2.1", "GET", p+"/ips/public", "")
}

func TestAttachments(t *testing.T) { dbtest.Each(t, onAttachments) }

func onAttachments(t *testing.T, d *db.DB) {
	f := frontOn(t, d)
	id := f.boot(plainBody)
	p := "/servers/" + id + "/os-volume_attachments"
	out := f.want(200, "member", "2.89", "POST", p, `{"volumeAttachment":{"volumeId":"`+volumeA+`","tag":"t"}}`)
	if got := fmt.Sprint(keysOf(out["volumeAttachment"])); got != "[delete_on_termination device serverId tag volumeId]" || at(out, "volumeAttachment.device") != "/dev/vdd" {
		t.Errorf("%v", out)
	}
	f.idle()
	f.has(t, 4, 1)
	f.want(400, "member", "2.1", "POST", p, `{"volumeAttachment":{"volumeId":"`+volumeA+`"}}`)
	f.want(404, "member", "2.1", "POST", p, `{"volumeAttachment":{"volumeId":"`+imageA+`"}}`)
	if got := fmt.Sprint(keysOf(at(f.want(200, "member", "2.1", "GET", p+"/"+volumeA, ""), "volumeAttachment"))); got != "[device id serverId volumeId]" {
		t.Error(got)
	}
	if got := fmt.Sprint(keysOf(at(f.want(200, "member", "2.89", "GET", p, ""), "volumeAttachments.0"))); got != "[attachment_id bdm_uuid delete_on_termination device serverId tag volumeId]" {
		t.Error(got)
	}
	f.want(202, "member", "2.85", "PUT", p+"/"+volumeA, `{"volumeAttachment":{"volumeId":"`+volumeA+`","delete_on_termination":true}}`)
	f.want(202, "member", "2.1", "DELETE", p+"/"+volumeA, "")
	f.idle()
	f.want(404, "member", "2.1", "DELETE", p+"/"+volumeA, "")
	f.has(t, 3, 1)

	p = "/servers/" + id + "/os-interface"
	made := f.want(200, "member", "2.70", "POST", p, `{"interfaceAttachment":{"net_id":"`+netA+`"}}`)
	if got := fmt.Sprint(keysOf(made["interfaceAttachment"])); got != "[fixed_ips mac_addr net_id port_id port_state tag]" {
		t.Errorf("%v", made)
	}
	f.has(t, 3, 2)
	port := at(made, "interfaceAttachment.port_id").(string)
	f.want(200, "member", "2.1", "GET", p+"/"+port, "")
	if n := len(f.want(200, "member", "2.1", "GET", p, "")["interfaceAttachments"].([]any)); n != 2 {
		t.Errorf("%d interfaces", n)
	}
	f.want(202, "member", "2.1", "DELETE", p+"/"+port, "")
	f.idle()
	f.want(404, "member", "2.1", "GET", p+"/"+port, "")
	f.has(t, 3, 1)
	f.vol.refuse = fault.Invalidf("no path to the storage")
	f.want(200, "member", "2.1", "POST", "/servers/"+id+"/os-volume_attachments", `{"volumeAttachment":{"volumeId":"`+volumeA+`"}}`)
	f.idle()
	f.check(t, 1, 1, 1, 1, 0, true)
}

func TestBootFromVolume(t *testing.T) { dbtest.Each(t, onBootFromVolume) }

func onBootFromVolume(t *testing.T, d *db.DB) {
	f := frontOn(t, d)
	id := f.boot(`{"server":{"name":"bfv","flavorRef":"small","networks":"none","block_device_mapping_v2":[
		{"boot_index":"0","source_type":"image","destination_type":"volume","uuid":"` + imageA + `","volume_size":"3","delete_on_termination":true}]}}`)
	s := f.want(200, "member", "2.3", "GET", "/servers/"+id, "")
	if at(s, "server.image") != "" || at(s, "server.os-extended-volumes:volumes_attached.delete_on_termination") != true || at(s, "server.status") != "ACTIVE" {
		t.Errorf("%v", s)
	}
	f.check(t, 1, 1, 0, 2, 1, true)
	f.want(204, "member", "2.1", "DELETE", "/servers/"+id, "")
	f.idle()
	f.check(t, 0, 0, 0, 1, 0, false)
}

func TestNoValidHost(t *testing.T) { dbtest.Each(t, onNoValidHost) }

func onNoValidHost(t *testing.T, d *db.DB) {
	f := frontOn(t, d)
	var ids []string
	for range 5 { // 8 processors, 2 each
		ids = append(ids, f.boot(plainBody))
	}
	s := f.want(200, "member", "2.1", "GET", "/servers/"+ids[4], "")
	if at(s, "server.status") != "ERROR" || !strings.HasPrefix(fmt.Sprint(at(s, "server.fault.message")), "No valid host was found. ") || at(s, "server.fault.code") != 500.0 {
		t.Errorf("%v", s)
	}
	f.want(204, "member", "2.1", "DELETE", "/servers/"+ids[4], "")
	f.want(204, "member", "2.1", "DELETE", "/servers/"+ids[0], "")
	f.idle()
	if got := at(f.want(200, "member", "2.1", "GET", "/servers/"+f.boot(plainBody), ""), "server.status"); got != "ACTIVE" {
		t.Error(got)
	}
}
