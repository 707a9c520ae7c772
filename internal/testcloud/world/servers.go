package world

import (
	"strings"
)

var latestCompute = []string{"OpenStack-API-Version", "compute latest"}

// servers makes one of each thing of the compute service.
func (w *World) servers() {
	const v = "/compute/v2.1"
	m, a := w.m, w.a
	w.made(a, "flavor", v+"/flavors", "flavor.id", Object{"flavor": Object{"name": "small", "ram": 256, "vcpus": 1, "disk": 1, "id": "f1", "os-flavor-access:is_public": false}})
	w.set(a, "POST", v+"/flavors/f1/action", Object{"addTenantAccess": Object{"tenant": w.Project}})
	w.set(a, "POST", v+"/flavors/f1/os-extra_specs", Object{"extra_specs": Object{"hw:cpu_policy": "shared"}})
	w.made(a, "public flavor", v+"/flavors", "flavor.id", Object{"flavor": Object{"name": "tiny", "ram": 64, "vcpus": 1, "disk": 0, "id": "f2"}})
	public := w.made(a, "public image", "/image/v2/images", "id", Object{"name": "for all", "disk_format": "raw", "container_format": "bare", "visibility": "public"})
	w.set(a, "PUT", "/image/v2/images/"+public+"/file", make([]byte, 1<<20), "Content-Type", "application/octet-stream")
	for _, p := range w.People {
		if p.UserID != "" {
			w.by(p, "POST", v+"/os-keypairs", Object{"keypair": Object{"name": "key"}}) // who may not have one has none
		}
	}
	w.made(m, "server group", v+"/os-server-groups", "server_group.id", Object{"server_group": Object{"name": "apart", "policy": "anti-affinity"}}, latestCompute...)
	server := w.made(m, "server", v+"/servers", "server.id", Object{"server": Object{"name": "web", "flavorRef": "f1", "imageRef": w.Things["image"],
		"networks": []Object{{"port": w.Things["port"]}}, "metadata": Object{"a": "b"}, "tags": []string{"blue"}}}, latestCompute...)
	w.cloud.RunTasks()
	if got := w.set(m, "GET", v+"/servers/"+server, nil).String("server.status"); got != "ACTIVE" {
		w.t.Fatalf("the server is %s", got)
	}
	w.set(m, "POST", v+"/servers/"+server+"/os-volume_attachments", Object{"volumeAttachment": Object{"volumeId": w.Things["volume"]}})
	w.cloud.RunTasks()
	for _, one := range w.set(m, "GET", "/volume/v3/attachments", nil, "OpenStack-API-Version", "volume latest").List("attachments") {
		w.Things["attachment"] = one.(Object)["id"].(string)
	}
	w.Things["action"] = w.set(m, "GET", v+"/servers/"+server+"/os-instance-actions", nil, latestCompute...).String("instanceActions.0.request_id")
	link := w.set(m, "POST", v+"/servers/"+server+"/action", Object{"os-getVNCConsole": Object{"type": "novnc"}}).String("console.url")
	w.Things["console"] = link[strings.LastIndex(link, "token%3D")+len("token%3D"):]
	w.Things["aggregate"] = "1"
	w.set(a, "POST", v+"/os-aggregates", Object{"aggregate": Object{"name": "rack", "availability_zone": nil}})
	hypervisor := w.set(a, "GET", v+"/os-hypervisors", nil, latestCompute...)
	w.Things["hypervisor"], w.Things["host"] = hypervisor.String("hypervisors.0.id"), "sim-1"
	for _, one := range w.set(a, "GET", v+"/os-services?binary=nova-compute", nil, latestCompute...).List("services") {
		w.Things["compute service"] = one.(Object)["id"].(string)
	}
}

// stock makes one of each thing of the placement service.
func (w *World) stock() {
	latest := []string{"OpenStack-API-Version", "placement latest"}
	provider := w.made(w.a, "provider", "/placement/resource_providers", "uuid", Object{"name": "rack"}, latest...)
	w.set(w.a, "PUT", "/placement/resource_classes/CUSTOM_GOLD", nil, latest...)
	w.set(w.a, "PUT", "/placement/traits/CUSTOM_FAST", nil, latest...)
	w.set(w.a, "PUT", "/placement/resource_providers/"+provider+"/inventories", Object{"resource_provider_generation": 0,
		"inventories": Object{"CUSTOM_GOLD": Object{"total": 10}}}, latest...)
}

// objects makes a container with an object in it.
func (w *World) objects() {
	account := "/v1/AUTH_" + w.Project
	w.set(w.People.Named("project admin"), "PUT", account+"/box", nil)
	w.set(w.People.Named("project admin"), "PUT", account+"/box/thing", "hello", "Content-Type", "text/plain")
	w.set(w.People.Named("project admin"), "PUT", account+"/bucket", nil)
	w.set(w.People.Named("project admin"), "PUT", account+"/bucket/thing", "hello", "Content-Type", "text/plain")
}
