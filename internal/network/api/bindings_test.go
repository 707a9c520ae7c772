package networkapi_test

import (
	"context"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/testcloud"
)

// becomes waits until a port is up on a host, as that host tells.
func becomes(t *testing.T, admin *testcloud.Client, port, host string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		got := admin.Get(base + "/ports/" + port).Expect(200)
		if got.String("port.status") == "ACTIVE" && got.String("port.binding:host_id") == host {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("the port is not up on %s: %s", host, got.Body)
		}
	}
}

func binding(host string, more m) m {
	out := m{"host": host}
	for k, v := range more {
		out[k] = v
	}
	return m{"binding": out}
}

// TestPortBindings takes a port from one host to another and back: an inactive
// binding changes nothing until it is activated.
func TestPortBindings(t *testing.T) {
	dbtest.EachOne(t, func(t *testing.T) {
		cloud := testcloud.New(t, testcloud.Hosts(2))
		admin := cloud.Admin
		service := cloud.Login("service", testcloud.ServicePassword, "service")
		network := create(admin, "network", "networks", m{}).Expect(201).String("network.id")
		port := create(service, "port", "ports", m{"network_id": network, "device_owner": "compute:far", "device_id": "x", "binding:host_id": "sim-1",
			"binding:profile": m{"a": "b"}}).Expect(201).String("port.id")
		all := base + "/ports/" + port + "/bindings"
		becomes(t, admin, port, "sim-1")
		bindings := func(want ...string) {
			t.Helper()
			got := admin.Get(all).Expect(200)
			var have []string
			for _, one := range got.List("bindings") {
				b := one.(m)
				have = append(have, b["host"].(string)+" "+b["status"].(string)+" "+b["vif_type"].(string))
			}
			if len(have) != len(want) {
				t.Fatalf("bindings: %s", got.Body)
			}
			for i := range want {
				if have[i] != want[i] {
					t.Errorf("binding %d is %s, want %s", i, have[i], want[i])
				}
			}
		}
		refused := func(a *testcloud.Answer, status int, kind, text string) {
			t.Helper()
			if a.Status != status || a.String("NeutronError.type") != kind || text != "" && a.String("NeutronError.message") != text {
				t.Errorf("%d %s, want %d %s %s", a.Status, a.Body, status, kind, text)
			}
		}
		bindings("sim-1 ACTIVE ovs")
		of := " for port " + port
		refused(service.Do("POST", all, binding("sim-1", nil)), 409, "PortBindingAlreadyExists", "Binding"+of+" on host sim-1 already exists.")
		refused(service.Do("POST", all, binding("nosuch", nil)), 400, "PortBindingError", "Binding"+of+" on host nosuch could not be created or updated.")
		refused(service.Do("PUT", all+"/sim-2/activate", nil), 404, "PortBindingNotFound", "Binding"+of+" for host sim-2 could not be found.")
		refused(service.Do("DELETE", all+"/sim-2", nil), 404, "PortBindingNotFound", "")
		for _, bad := range []m{binding("sim-2", m{"vnic_type": "direct"}), binding("sim-2", m{"profile": "x"}), binding("sim-2", m{"colour": "blue"}), {"binding": m{}}} {
			service.Do("POST", all, bad).Expect(400)
		}
		made := service.Do("POST", all+"/", binding("sim-2", m{"profile": m{"c": "d"}})).Expect(201)
		if made.String("binding.status") != "INACTIVE" || made.String("binding.profile.c") != "d" || made.String("binding.vnic_type") != "normal" {
			t.Errorf("made: %s", made.Body)
		}
		refused(service.Do("POST", all, binding("sim-2", nil)), 409, "PortBindingAlreadyExists", "")
		bindings("sim-1 ACTIVE ovs", "sim-2 INACTIVE ovs")
		if got := admin.Get(all + "?status=INACTIVE&fields=host").Expect(200); len(got.List("bindings")) != 1 || len(got.Value("bindings.0").(m)) != 1 {
			t.Errorf("inactive ones: %s", got.Body)
		}
		becomes(t, admin, port, "sim-1")

		now := service.Do("PUT", all+"/sim-2/activate", nil).Expect(200)
		if now.String("binding.host") != "sim-2" || now.String("binding.status") != "ACTIVE" || now.String("binding.profile.c") != "d" {
			t.Errorf("activated: %s", now.Body)
		}
		becomes(t, admin, port, "sim-2")
		if got := admin.Get(base + "/ports/" + port).Expect(200).String("port.binding:profile.c"); got != "d" {
			t.Errorf("the port's profile: %q", got)
		}
		bindings("sim-2 ACTIVE ovs", "sim-1 INACTIVE unbound")
		refused(service.Do("PUT", all+"/sim-2/activate", nil), 409, "PortBindingAlreadyActive", "Binding"+of+" on host sim-2 is already active.")
		service.Do("PUT", all+"/sim-1/activate", nil).Expect(200)
		becomes(t, admin, port, "sim-1")
		bindings("sim-1 ACTIVE ovs", "sim-2 INACTIVE unbound")
		admin.Do("PUT", base+"/ports/"+port, m{"port": m{"binding:host_id": "sim-2"}}).Expect(200) // the other way to move it
		becomes(t, admin, port, "sim-2")
		bindings("sim-2 ACTIVE ovs")
		service.Do("POST", all, binding("sim-1", nil)).Expect(201)
		service.Do("DELETE", all+"/sim-1", nil).Expect(204)
		service.Do("DELETE", all+"/sim-2", nil).Expect(204) // the active one: the port is on no host
		bindings(" ACTIVE unbound")
		service.Do("POST", all, binding("sim-1", nil)).Expect(201)
		service.Do("PUT", all+"/sim-1/activate", nil).Expect(200)
		becomes(t, admin, port, "sim-1")
		bindings("sim-1 ACTIVE ovs")
		admin.Do("DELETE", base+"/ports/"+port, nil).Expect(204)
		refused(admin.Get(all), 404, "PortNotFound", "")
	})
}

// TestWhoseBindings: services make bindings, administrators read them, users do
// neither; ports that are no server's have none.
func TestWhoseBindings(t *testing.T) {
	cloud := testcloud.New(t)
	admin, demo := cloud.Admin, cloud.Demo
	service := cloud.Login("service", testcloud.ServicePassword, "service")
	network := create(demo, "network", "networks", m{}).Expect(201).String("network.id")
	port := create(demo, "port", "ports", m{"network_id": network}).Expect(201).String("port.id")
	all := base + "/ports/" + port + "/bindings"
	demo.Get(all).Expect(403)
	for _, of := range []*testcloud.Client{demo, admin} {
		of.Do("POST", all, binding("sim-1", nil)).Expect(403)
		of.Do("PUT", all+"/sim-1/activate", nil).Expect(403)
		of.Do("DELETE", all+"/sim-1", nil).Expect(403)
	}
	foreign := create(admin, "network", "networks", m{}).Expect(201).String("network.id")
	theirs := create(admin, "port", "ports", m{"network_id": foreign}).Expect(201).String("port.id")
	demo.Get(base + "/ports/" + theirs + "/bindings").Expect(404)
	want := "Bad port request: Invalid port " + port + ". Operation only valid on compute and shared filesystem ports."
	for _, a := range []*testcloud.Answer{admin.Get(all), service.Do("POST", all, binding("sim-1", nil)), service.Do("PUT", all+"/sim-1/activate", nil), service.Do("DELETE", all+"/sim-1", nil)} {
		if a.Status != 400 || a.String("NeutronError.message") != want {
			t.Errorf("of a port without a server: %d %s", a.Status, a.Body)
		}
	}
}
