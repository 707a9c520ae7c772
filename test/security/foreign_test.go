package security

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/testcloud"
)

type object = map[string]any

// estate is what one project owns, by kind.
type estate map[string]string

func settle(t *testing.T, c *testcloud.Cloud, who *testcloud.Client, name string) estate {
	t.Helper()
	e := estate{"project": who.ProjectID, "user": who.UserID}
	make := func(kind, path, one string, body object, status int) string {
		t.Helper()
		a := who.Do("POST", path, object{one: body}).Expect(status)
		e[kind] = a.String(one + ".id")
		return e[kind]
	}
	network := make("network", "/networking/v2.0/networks", "network", object{"name": name}, 201)
	subnet := make("subnet", "/networking/v2.0/subnets", "subnet", object{"name": name, "network_id": network, "ip_version": 4, "cidr": "10.77.0.0/24"}, 201)
	make("port", "/networking/v2.0/ports", "port", object{"name": name, "network_id": network, "fixed_ips": []object{{"subnet_id": subnet}}}, 201)
	make("router", "/networking/v2.0/routers", "router", object{"name": name}, 201)
	make("group", "/networking/v2.0/security-groups", "security_group", object{"name": name}, 201)
	make("volume", "/volume/v3/volumes", "volume", object{"name": name, "size": 1, "metadata": object{"k": "v"}}, 202)
	c.RunTasks()
	make("snapshot", "/volume/v3/snapshots", "snapshot", object{"name": name, "volume_id": e["volume"], "metadata": object{"k": "v"}}, 202)
	a := who.Do("POST", "/image/v2/images", object{"name": name, "disk_format": "raw", "container_format": "bare"}).Expect(201)
	e["image"] = a.String("id")
	who.Do("PUT", "/image/v2/images/"+e["image"]+"/file", strings.Repeat("x", 1<<16), "Content-Type", "application/octet-stream").Expect(204)
	a = c.Admin.Do("POST", "/compute/v2.1/flavors", object{"flavor": object{"name": "small " + name, "ram": 64, "vcpus": 1, "disk": 1}}).Expect(200)
	e["flavor"] = a.String("flavor.id")
	make("server", "/compute/v2.1/servers", "server", object{"name": name, "flavorRef": e["flavor"], "imageRef": e["image"], "networks": []object{{"port": e["port"]}}, "metadata": object{"k": "v"}}, 202)
	c.RunTasks()
	who.Do("POST", "/compute/v2.1/os-keypairs", object{"keypair": object{"name": name}}).Expect(200)
	e["keypair"], e["name"] = name, name
	who.Do("PUT", "/v1/AUTH_"+who.ProjectID+"/"+name, nil).Expect(201)
	who.Do("PUT", "/v1/AUTH_"+who.ProjectID+"/"+name+"/object", name+" bytes").Expect(201)
	return e
}

// neighbours are two projects that own the same things, neither of them admin's.
func neighbours(t *testing.T) (c *testcloud.Cloud, mine, theirs *testcloud.Client, own, foreign estate) {
	t.Helper()
	c = testcloud.New(t)
	project := c.Admin.Do("POST", "/identity/v3/projects", object{"project": object{"name": "other", "domain_id": "default"}}).Expect(201).String("project.id")
	user := c.Admin.Do("POST", "/identity/v3/users", object{"user": object{"name": "other", "password": "other-secret", "domain_id": "default"}}).Expect(201).String("user.id")
	for _, role := range []string{"member", "reader"} {
		id := c.Admin.Get("/identity/v3/roles?name=" + role).String("roles.0.id")
		c.Admin.Do("PUT", "/identity/v3/projects/"+project+"/users/"+user+"/roles/"+id, nil).Expect(204)
	}
	mine, theirs = c.Demo, c.Login("other", "other-secret", "other")
	return c, mine, theirs, settle(t, c, mine, "mine"), settle(t, c, theirs, "theirs")
}

// TestForeignObjects (SEC-10, SEC-16, SEC-17, SEC-19): another project's objects are
// missing, whatever they are asked through.
func TestForeignObjects(t *testing.T) {
	t.Parallel()
	cloud, mine, theirs, own, foreign := neighbours(t)
	t.Run("lists", func(t *testing.T) { lists(t, mine, own, foreign) })
	t.Run("nested", func(t *testing.T) { nested(t, mine, own, foreign) })
	t.Run("bodies", func(t *testing.T) { bodies(t, mine, own, foreign) })
	t.Run("missing", func(t *testing.T) { missing(t, mine, foreign) })
	t.Run("read-only", func(t *testing.T) { readOnly(t, mine, own, foreign) })
	cloud.RunTasks()
	// Nothing of it has changed what the others own.
	for _, path := range []string{"/compute/v2.1/servers/" + foreign["server"], "/volume/v3/volumes/" + foreign["volume"], "/volume/v3/snapshots/" + foreign["snapshot"],
		"/networking/v2.0/ports/" + foreign["port"], "/networking/v2.0/routers/" + foreign["router"], "/image/v2/images/" + foreign["image"],
		"/v1/AUTH_" + foreign["project"] + "/theirs/object", "/compute/v2.1/os-keypairs/theirs"} {
		if a := theirs.Get(path).Expect(200); strings.Contains(string(a.Body), own["project"]) {
			t.Errorf("%s has become of another project: %s", path, a.Body)
		}
	}
}

// lists: no filter shows what is of others.
func lists(t *testing.T, mine *testcloud.Client, own, foreign estate) {
	filters := []string{"", "project_id=%p", "tenant_id=%p", "all_tenants=1", "all_tenants=True&project_id=%p", "user_id=%u", "owner=%p", "name=theirs", "name=~.*", "id=%i", "host=host-1",
		"visibility=all", "visibility=private&owner=%p", "member_status=all&visibility=shared", "status=ACTIVE", "metadata={}", "deleted=true", "changes-since=2001-01-01T00:00:00Z", "limit=1000&sort_key=id",
		"device_id=%s", "network_id=%n", "shared=False", "uuid=%i", "reservation_id=r", "fields=id", "router:external=True"}
	for kind, path := range map[string]string{"server": "/compute/v2.1/servers/detail", "volume": "/volume/v3/volumes/detail", "snapshot": "/volume/v3/snapshots/detail", "image": "/image/v2/images",
		"network": "/networking/v2.0/networks", "subnet": "/networking/v2.0/subnets", "port": "/networking/v2.0/ports", "router": "/networking/v2.0/routers",
		"group": "/networking/v2.0/security-groups", "keypair": "/compute/v2.1/os-keypairs", "attachment": "/volume/v3/attachments", "floating": "/networking/v2.0/floatingips", "servers": "/compute/v2.1/servers",
		"backups": "/volume/v3/backups/detail", "groups": "/compute/v2.1/os-server-groups", "rules": "/networking/v2.0/security-group-rules"} {
		for _, f := range filters {
			f = strings.NewReplacer("%p", foreign["project"], "%u", foreign["user"], "%i", foreign[kind], "%s", foreign["server"], "%n", foreign["network"]).Replace(f)
			a := mine.Get(path + "?" + f)
			if a.Status >= 500 {
				t.Errorf("%s?%s: %d %s", path, f, a.Status, a.Body)
			}
			body := string(a.Body)
			if a.Status == http.StatusOK && (strings.Contains(body, `"`+foreign["project"]+`"`) || foreign[kind] != "" && strings.Contains(body, `"`+foreign[kind]+`"`)) {
				t.Errorf("%s?%s shows what is of others: %s", path, f, body)
			}
		}
		if a := mine.Get(path); own[kind] != "" && !strings.Contains(string(a.Body), own[kind]) {
			t.Errorf("%s does not show the own %s: %s", path, kind, a.Body)
		}
	}
}

// nested: a child is asked for through a parent that it is not of.
func nested(t *testing.T, mine *testcloud.Client, own, foreign estate) {
	for _, c := range []struct{ method, path string }{
		{"GET", "/compute/v2.1/servers/%s/os-interface"}, {"GET", "/compute/v2.1/servers/%s/metadata"}, {"GET", "/compute/v2.1/servers/%s/metadata/k"}, {"DELETE", "/compute/v2.1/servers/%s/metadata/k"},
		{"GET", "/compute/v2.1/servers/%s/ips"}, {"GET", "/compute/v2.1/servers/%s/os-volume_attachments"}, {"GET", "/compute/v2.1/servers/%s/os-instance-actions"},
		{"GET", "/compute/v2.1/servers/%s/tags"}, {"GET", "/compute/v2.1/servers/%s/diagnostics"}, {"GET", "/compute/v2.1/servers/%s/os-security-groups"}, {"GET", "/compute/v2.1/servers/%s/migrations"},
		{"GET", "/compute/v2.1/servers/%s/os-server-password"}, {"DELETE", "/compute/v2.1/servers/%s"}, {"GET", "/compute/v2.1/servers/%s/topology"},
	} {
		expectMissing(t, mine, c.method, fmt.Sprintf(c.path, foreign["server"]), nil)
	}
	for _, c := range []struct{ method, path string }{
		{"GET", "/volume/v3/volumes/%s/metadata"}, {"GET", "/volume/v3/volumes/%s/metadata/k"}, {"DELETE", "/volume/v3/volumes/%s/metadata/k"}, {"DELETE", "/volume/v3/volumes/%s"}, {"PUT", "/volume/v3/volumes/%s"},
	} {
		expectMissing(t, mine, c.method, fmt.Sprintf(c.path, foreign["volume"]), object{"volume": object{"name": "x"}})
	}
	expectMissing(t, mine, "GET", "/volume/v3/snapshots/"+foreign["snapshot"]+"/metadata", nil)
	expectMissing(t, mine, "DELETE", "/volume/v3/snapshots/"+foreign["snapshot"], nil)
	for _, path := range []string{"", "/file", "/members", "/members/" + own["project"], "/tasks"} {
		expectMissing(t, mine, "GET", "/image/v2/images/"+foreign["image"]+path, nil)
	}
	expectMissing(t, mine, "PUT", "/image/v2/images/"+foreign["image"]+"/tags/x", nil)
	expectMissing(t, mine, "POST", "/image/v2/images/"+foreign["image"]+"/members", object{"member": own["project"]})
	expectMissing(t, mine, "DELETE", "/image/v2/images/"+foreign["image"], nil)
	for kind, name := range map[string]string{"networks": "network", "subnets": "subnet", "ports": "port", "routers": "router", "security-groups": "group"} {
		for _, method := range []string{"GET", "DELETE"} {
			expectMissing(t, mine, method, "/networking/v2.0/"+kind+"/"+foreign[name], nil)
		}
		expectMissing(t, mine, "GET", "/networking/v2.0/"+kind+"/"+foreign[name]+"/tags", nil)
	}
	// Own parent, foreign child.
	for _, c := range []struct{ method, path string }{
		{"GET", "/compute/v2.1/servers/" + own["server"] + "/os-interface/" + foreign["port"]}, {"DELETE", "/compute/v2.1/servers/" + own["server"] + "/os-interface/" + foreign["port"]},
		{"GET", "/compute/v2.1/servers/" + own["server"] + "/os-volume_attachments/" + foreign["volume"]}, {"DELETE", "/compute/v2.1/servers/" + own["server"] + "/os-volume_attachments/" + foreign["volume"]},
	} {
		expectMissing(t, mine, c.method, c.path, nil)
	}
}

// expectMissing: the answer is the one for something that does not exist.
func expectMissing(t *testing.T, who *testcloud.Client, method, path string, body any) {
	t.Helper()
	a := who.Do(method, path, body)
	if a.Status != http.StatusNotFound {
		t.Errorf("%s %s: %d %s", method, path, a.Status, a.Body)
	}
}

// bodies: a foreign object in a request's body is as good as none.
func bodies(t *testing.T, mine *testcloud.Client, own, foreign estate) {
	server := "/compute/v2.1/servers/" + own["server"]
	for _, c := range []struct {
		path string
		body object
	}{
		{server + "/os-volume_attachments", object{"volumeAttachment": object{"volumeId": foreign["volume"]}}},
		{server + "/os-interface", object{"interfaceAttachment": object{"port_id": foreign["port"]}}},
		{server + "/os-interface", object{"interfaceAttachment": object{"net_id": foreign["network"]}}},
		{server + "/action", object{"rebuild": object{"imageRef": foreign["image"]}}},
		{"/compute/v2.1/servers", object{"server": object{"name": "x", "flavorRef": own["flavor"], "imageRef": foreign["image"], "networks": []object{{"uuid": own["network"]}}}}},
		{"/compute/v2.1/servers", object{"server": object{"name": "x", "flavorRef": own["flavor"], "imageRef": own["image"], "networks": []object{{"uuid": foreign["network"]}}}}},
		{"/compute/v2.1/servers", object{"server": object{"name": "x", "flavorRef": own["flavor"], "imageRef": own["image"], "networks": []object{{"port": foreign["port"]}}}}},
		{"/compute/v2.1/servers", object{"server": object{"name": "x", "flavorRef": own["flavor"], "networks": "none",
			"block_device_mapping_v2": []object{{"boot_index": 0, "uuid": foreign["volume"], "source_type": "volume", "destination_type": "volume"}}}}},
		{"/compute/v2.1/servers", object{"server": object{"name": "x", "flavorRef": own["flavor"], "imageRef": own["image"], "key_name": "theirs", "networks": []object{{"uuid": own["network"]}}}}},
		{"/volume/v3/volumes", object{"volume": object{"size": 1, "snapshot_id": foreign["snapshot"]}}},
		{"/volume/v3/volumes", object{"volume": object{"size": 1, "source_volid": foreign["volume"]}}},
		{"/volume/v3/volumes", object{"volume": object{"size": 1, "imageRef": foreign["image"]}}},
		{"/volume/v3/snapshots", object{"snapshot": object{"volume_id": foreign["volume"]}}},
		{"/volume/v3/backups", object{"backup": object{"volume_id": foreign["volume"], "container": "c"}}},
		{"/volume/v3/volume-transfers", object{"transfer": object{"volume_id": foreign["volume"]}}},
		{"/networking/v2.0/ports", object{"port": object{"network_id": foreign["network"]}}},
		{"/networking/v2.0/ports", object{"port": object{"network_id": own["network"], "security_groups": []string{foreign["group"]}}}},
		{"/networking/v2.0/subnets", object{"subnet": object{"network_id": foreign["network"], "ip_version": 4, "cidr": "10.9.0.0/24"}}},
		{"/networking/v2.0/security-group-rules", object{"security_group_rule": object{"security_group_id": foreign["group"], "direction": "ingress"}}},
		{"/networking/v2.0/security-group-rules", object{"security_group_rule": object{"security_group_id": own["group"], "direction": "ingress", "remote_group_id": foreign["group"]}}},
	} {
		a := mine.Do("POST", c.path, c.body)
		if a.Status != http.StatusNotFound && a.Status != http.StatusBadRequest && a.Status != http.StatusForbidden {
			t.Errorf("POST %s %v: %d %s", c.path, c.body, a.Status, a.Body)
		}
	}
	for path, body := range map[string]object{
		"/networking/v2.0/routers/" + own["router"] + "/add_router_interface":     {"subnet_id": foreign["subnet"]},
		"/networking/v2.0/routers/" + foreign["router"] + "/add_router_interface": {"subnet_id": own["subnet"]},
		"/networking/v2.0/ports/" + own["port"]:                                   {"port": object{"security_groups": []string{foreign["group"]}}},
	} {
		if a := mine.Do("PUT", path, body); a.Status != http.StatusNotFound && a.Status != http.StatusBadRequest {
			t.Errorf("PUT %s: %d %s", path, a.Status, a.Body)
		}
	}
	if a := mine.Do("PUT", "/v1/AUTH_"+own["project"]+"/mine/stolen", nil, "X-Copy-From", "theirs/object", "X-Copy-From-Account", "AUTH_"+foreign["project"]); a.Status < 400 {
		t.Errorf("a foreign object was copied: %d", a.Status)
	}
	if a := mine.Do("PUT", "/v1/AUTH_"+own["project"]+"/mine/link", nil, "X-Symlink-Target", "theirs/object", "X-Symlink-Target-Account", "AUTH_"+foreign["project"]); a.Status < 300 {
		if a := mine.Get("/v1/AUTH_" + own["project"] + "/mine/link"); a.Status == http.StatusOK {
			t.Errorf("a link reads a foreign object: %s", a.Body)
		}
	}
}

// missing: the answer for a foreign object is that for none, but for its id.
func missing(t *testing.T, mine *testcloud.Client, foreign estate) {
	const none = "11111111-2222-4333-8444-555555555555"
	for kind, path := range map[string]string{"server": "/compute/v2.1/servers/", "volume": "/volume/v3/volumes/", "snapshot": "/volume/v3/snapshots/", "image": "/image/v2/images/", "network": "/networking/v2.0/networks/",
		"port": "/networking/v2.0/ports/", "router": "/networking/v2.0/routers/", "group": "/networking/v2.0/security-groups/", "subnet": "/networking/v2.0/subnets/"} {
		for _, method := range []string{"GET", "DELETE", "PUT", "PATCH"} {
			said := func(id string) string {
				a := mine.Do(method, path+id, object{})
				return fmt.Sprint(a.Status, " ", strings.NewReplacer(id, "ID", a.Header.Get("X-Openstack-Request-Id"), "REQUEST").Replace(string(a.Body)))
			}
			if a, b := said(foreign[kind]), said(none); a != b {
				t.Errorf("%s %s: foreign %q, missing %q", method, path, a, b)
			}
		}
	}
}

// readOnly: what only the cloud may say is refused, or not taken over.
func readOnly(t *testing.T, mine *testcloud.Client, own, foreign estate) {
	for _, c := range []struct {
		method, path string
		body         any
		headers      []string
	}{
		{"PUT", "/networking/v2.0/networks/" + own["network"], object{"network": object{"project_id": foreign["project"]}}, nil},
		{"PUT", "/networking/v2.0/networks/" + own["network"], object{"network": object{"shared": true}}, nil},
		{"PUT", "/networking/v2.0/networks/" + own["network"], object{"network": object{"router:external": true}}, nil},
		{"PUT", "/networking/v2.0/ports/" + own["port"], object{"port": object{"tenant_id": foreign["project"]}}, nil},
		{"PUT", "/networking/v2.0/ports/" + own["port"], object{"port": object{"binding:host_id": "host-9"}}, nil},
		{"PUT", "/networking/v2.0/ports/" + own["port"], object{"port": object{"binding:profile": object{"a": 1}}}, nil},
		{"POST", "/networking/v2.0/ports", object{"port": object{"network_id": own["network"], "project_id": foreign["project"]}}, nil},
		{"POST", "/networking/v2.0/networks", object{"network": object{"name": "x", "provider:network_type": "vlan"}}, nil},
		{"PATCH", "/image/v2/images/" + own["image"], []object{{"op": "replace", "path": "/owner", "value": foreign["project"]}}, []string{"Content-Type", "application/openstack-images-v2.1-json-patch"}},
		{"PATCH", "/image/v2/images/" + own["image"], []object{{"op": "replace", "path": "/status", "value": "queued"}}, []string{"Content-Type", "application/openstack-images-v2.1-json-patch"}},
		{"PATCH", "/image/v2/images/" + own["image"], []object{{"op": "replace", "path": "/checksum", "value": "0"}}, []string{"Content-Type", "application/openstack-images-v2.1-json-patch"}},
		{"PATCH", "/image/v2/images/" + own["image"], []object{{"op": "replace", "path": "/visibility", "value": "public"}}, []string{"Content-Type", "application/openstack-images-v2.1-json-patch"}},
		{"PATCH", "/image/v2/images/" + own["image"], []object{{"op": "add", "path": "/locations/-", "value": object{"url": "file:///etc/passwd", "metadata": object{}}}}, []string{"Content-Type", "application/openstack-images-v2.1-json-patch"}},
		{"POST", "/image/v2/images", object{"name": "x", "owner": foreign["project"]}, nil},
		{"POST", "/image/v2/images", object{"name": "x", "locations": []object{{"url": "file:///etc/passwd", "metadata": object{}}}}, nil},
		{"POST", "/image/v2/images/" + own["image"] + "/locations", object{"url": "file:///etc/passwd"}, nil},
		{"POST", "/compute/v2.1/servers/" + own["server"] + "/action", object{"os-resetState": object{"state": "error"}}, nil},
		{"POST", "/volume/v3/volumes/" + own["volume"] + "/action", object{"os-reset_status": object{"status": "error"}}, nil},
		{"POST", "/volume/v3/volumes/" + own["volume"] + "/action", object{"os-set_image_metadata": object{"metadata": object{"owner": 1}, "x": 1}}, nil},
		{"POST", "/volume/v3/volumes", object{"volume": object{"size": 1, "project_id": foreign["project"], "status": "in-use"}}, nil},
		{"POST", "/compute/v2.1/servers", object{"server": object{"name": "x", "flavorRef": own["flavor"], "imageRef": own["image"], "networks": "none", "project_id": foreign["project"]}}, nil},
		{"POST", "/compute/v2.1/servers", object{"server": object{"name": "x", "flavorRef": own["flavor"], "imageRef": own["image"], "networks": "none", "availability_zone": "nova:host-1"}}, nil},
	} {
		a := mine.Do(c.method, c.path, c.body, c.headers...)
		if a.Status < 400 && strings.Contains(c.path, "/volume/v3/volumes") && !strings.Contains(string(a.Body), foreign["project"]) && !strings.Contains(string(a.Body), "in-use") {
			continue // Cinder passes over what it does not know
		}
		if a.Status < 400 || a.Status >= 500 && a.Status != 501 {
			t.Errorf("%s %s %v: %d %s", c.method, c.path, c.body, a.Status, a.Body)
		}
	}
	if a := mine.Get("/image/v2/images/" + own["image"]); strings.Contains(string(a.Body), "locations") || strings.Contains(string(a.Body), "direct_url") || strings.Contains(string(a.Body), "file://") {
		t.Errorf("an image shows where it lies: %s", a.Body)
	}
}
