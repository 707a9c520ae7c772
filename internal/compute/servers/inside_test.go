package servers

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
)

func told(host, server, password string, w *surroundings) error {
	raw, err := json.Marshal(map[string]string{"password": password})
	if err != nil {
		return err
	}
	return w.servers.Told(context.Background(), host, hostlink.Message{Section: hostlink.Guests, Object: server, Verb: "password", Params: raw})
}

// A guest posts its password once, until somebody clears it.
func TestServerPassword(t *testing.T) {
	f := newFront(t)
	id := f.boot(plainBody)
	path := "/servers/" + id + "/os-server-password"
	if got := f.want(200, "reader", "2.1", "GET", path, "")["password"]; got != "" {
		t.Errorf("password %v before any", got)
	}
	for _, c := range []struct {
		host, server, password string
		kind                   fault.Kind
	}{{"host-b", id, "x", fault.NotFound}, {"host-a", volumeA, "x", fault.NotFound}, {"host-a", id, strings.Repeat("x", 256), fault.Invalid}} {
		if err := told(c.host, c.server, c.password, f.surroundings); !fault.Is(err, c.kind) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, password := range []string{"sealed", "sealed"} { // told twice
		if err := told("host-a", id, password, f.surroundings); err != nil {
			t.Error(err)
		}
	}
	if err := told("host-a", id, "another", f.surroundings); !fault.Is(err, fault.Conflict) {
		t.Errorf("another: %v", err)
	}
	if got := f.want(200, "reader", "2.1", "GET", path, "")["password"]; got != "sealed" || f.spec(t, id).Metadata.Password != "sealed" {
		t.Errorf("password %v", got)
	}
	f.want(403, "reader", "2.1", "DELETE", path, "")
	f.want(404, "other", "2.1", "GET", path, "")
	f.want(204, "member", "2.1", "DELETE", path, "")
	if err := told("host-a", id, "another", f.surroundings); err != nil {
		t.Errorf("after it was cleared: %v", err)
	}
}

func TestDiagnostics(t *testing.T) {
	f := newFront(t)
	id := f.boot(plainBody)
	path := "/servers/" + id + "/diagnostics"
	f.want(403, "member", "2.1", "GET", path, "")
	old := f.want(200, "admin", "2.47", "GET", path, "")
	for _, key := range []string{"cpu0_time", "cpu1_time", "memory", "vda_read", "vda_write_req", "vdb_errors"} {
		if _, ok := old[key].(float64); !ok {
			t.Errorf("%s is %v", key, old[key])
		}
	}
	strict := f.want(200, "admin", "2.48", "GET", path, "")
	want := "[config_drive cpu_details disk_details driver hypervisor hypervisor_os memory_details nic_details num_cpus num_disks num_nics state uptime]"
	if got := fmt.Sprint(keysOf(strict)); got != want || strict["num_cpus"] != 2.0 || strict["num_disks"] != 3.0 || strict["state"] != "running" {
		t.Errorf("%v", strict)
	}
	f.want(202, "member", "2.1", "POST", "/servers/"+id+"/action", `{"os-stop":null}`)
	f.idle()
	f.want(409, "admin", "2.48", "GET", path, "")
	if top := f.want(200, "reader", "2.78", "GET", "/servers/"+id+"/topology", ""); fmt.Sprint(keysOf(top)) != "[nodes pagesize_kb]" {
		t.Errorf("%v", top)
	}
	f.want(404, "reader", "2.77", "GET", "/servers/"+id+"/topology", "")
}

func TestSmallActions(t *testing.T) {
	f := newFront(t)
	id := f.boot(plainBody)
	for _, c := range []struct {
		status         int
		token, version string
		body           string
	}{
		{202, "member", "2.1", `{"changePassword":{"adminPass":"secret"}}`}, {400, "member", "2.1", `{"changePassword":{}}`}, {403, "reader", "2.1", `{"changePassword":{"adminPass":"x"}}`},
		{202, "member", "2.17", `{"trigger_crash_dump":null}`}, {400, "member", "2.17", `{"trigger_crash_dump":{}}`}, {409, "member", "2.1", `{"restore":null}`},
		{403, "member", "2.1", `{"injectNetworkInfo":null}`}, {202, "admin", "2.1", `{"injectNetworkInfo":null}`}, {410, "admin", "2.1", `{"resetNetwork":null}`},
		{202, "member", "2.1", `{"os-stop":null}`},
	} {
		f.want(c.status, c.token, c.version, "POST", "/servers/"+id+"/action", c.body)
	}
	f.idle()
	f.want(409, "member", "2.1", "POST", "/servers/"+id+"/action", `{"changePassword":{"adminPass":"secret"}}`)
	f.want(409, "member", "2.17", "POST", "/servers/"+id+"/action", `{"trigger_crash_dump":null}`)
	log := f.want(200, "member", "2.62", "GET", "/servers/"+id+"/os-instance-actions", "")
	if got := fmt.Sprint(log); !strings.Contains(got, "changePassword") || !strings.Contains(got, "trigger_crash_dump") {
		t.Errorf("log %s", got)
	}
}
