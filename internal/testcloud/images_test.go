package testcloud_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/testcloud"
)

// server boots a server of a small image and answers both ids.
func server(t *testing.T, c *testcloud.Cloud) (serverID, imageID string) {
	t.Helper()
	c.Admin.Do("POST", "/compute/v2.1/flavors", object{"flavor": object{"name": "f", "ram": 256, "vcpus": 1, "disk": 1, "id": "f1"}}).Expect(http.StatusOK)
	imageID = c.Demo.Do("POST", "/image/v2/images", object{"name": "i", "disk_format": "raw", "container_format": "bare", "os_distro": "tiny"}).
		Expect(http.StatusCreated).String("id")
	c.Demo.Do("PUT", "/image/v2/images/"+imageID+"/file", make([]byte, 1<<20), "Content-Type", "application/octet-stream").Expect(http.StatusNoContent)
	serverID = c.Demo.Do("POST", "/compute/v2.1/servers", object{"server": object{"name": "s", "flavorRef": "f1", "imageRef": imageID, "networks": "none"}},
		"OpenStack-API-Version", "compute 2.37").Expect(http.StatusAccepted).String("server.id")
	c.RunTasks()
	return serverID, imageID
}

func act(c *testcloud.Cloud, server string, body object, status int) *testcloud.Answer {
	return c.Demo.Do("POST", "/compute/v2.1/servers/"+server+"/action", body).Expect(status)
}

// TestImagesOfServers takes a server through an image of it and back, over the
// real image service, and looks at images by way of Nova.
func TestImagesOfServers(t *testing.T) {
	c := testcloud.New(t)
	id, first := server(t, c)
	place := act(c, id, object{"createImage": object{"name": "shot", "metadata": object{"a": "b"}}}, http.StatusAccepted).Header.Get("Location")
	shot := place[strings.LastIndex(place, "/")+1:]
	c.RunTasks()
	shown := c.Demo.Get("/compute/v2.1/images/" + shot).Expect(http.StatusOK)
	for path, want := range map[string]string{"image.status": "ACTIVE", "image.server.id": id, "image.metadata.a": "b", "image.metadata.os_distro": "tiny",
		"image.metadata.base_image_ref": first, "image.name": "shot"} {
		if got := shown.String(path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	if n := len(c.Demo.Get("/compute/v2.1/images?server=" + id).Expect(http.StatusOK).List("images")); n != 1 {
		t.Errorf("%d images of the server", n)
	}
	page := c.Demo.Get("/compute/v2.1/images/detail?limit=1").Expect(http.StatusOK)
	if len(page.List("images")) != 1 || !strings.Contains(page.String("images_links.0.href"), "marker=") {
		t.Errorf("%s", page.Body)
	}
	c.Demo.Get("/compute/v2.1/images", "OpenStack-API-Version", "compute 2.36").Expect(http.StatusNotFound)

	meta := "/compute/v2.1/images/" + shot + "/metadata"
	c.Demo.Do("POST", meta, object{"metadata": object{"c": "d", "a": "z"}}).Expect(http.StatusOK)
	if got := c.Demo.Get(meta + "/a").Expect(http.StatusOK).String("meta.a"); got != "z" {
		t.Errorf("a is %q", got)
	}
	c.Demo.Do("PUT", meta+"/c", object{"meta": object{"c": "e"}}).Expect(http.StatusOK)
	c.Demo.Do("PUT", meta+"/c", object{"meta": object{"x": "e"}}).Expect(http.StatusBadRequest)
	c.Demo.Do("DELETE", meta+"/c", nil).Expect(http.StatusNoContent)
	c.Demo.Do("DELETE", meta+"/c", nil).Expect(http.StatusNotFound)
	if got := c.Demo.Do("PUT", meta, object{"metadata": object{"only": "this"}}).Expect(http.StatusOK).Value("metadata"); len(got.(object)) != 1 {
		t.Errorf("metadata %v", got)
	}

	act(c, id, object{"rebuild": object{"imageRef": shot}}, http.StatusAccepted)
	c.RunTasks()
	if got := c.Demo.Get("/compute/v2.1/servers/" + id).Expect(http.StatusOK); got.String("server.status") != "ACTIVE" || got.String("server.image.id") != shot {
		t.Fatalf("%s", got.Body)
	}
	c.Demo.Do("DELETE", "/compute/v2.1/images/"+shot, nil).Expect(http.StatusNoContent)
	c.Demo.Get("/compute/v2.1/images/" + shot).Expect(http.StatusNotFound)
	c.Demo.Do("DELETE", "/compute/v2.1/images/"+shot, nil).Expect(http.StatusNotFound)

	act(c, id, object{"shelve": nil}, http.StatusAccepted)
	c.RunTasks()
	if got := c.Demo.Get("/compute/v2.1/servers/" + id).Expect(http.StatusOK).String("server.status"); got != "SHELVED_OFFLOADED" {
		t.Fatalf("status %s after shelving", got)
	}
	if n := len(c.Demo.Get("/image/v2/images?name=s-shelved").Expect(http.StatusOK).List("images")); n != 1 {
		t.Errorf("%d images keep the server", n)
	}
	act(c, id, object{"unshelve": nil}, http.StatusAccepted)
	c.RunTasks()
	if got := c.Demo.Get("/compute/v2.1/servers/" + id).Expect(http.StatusOK).String("server.status"); got != "ACTIVE" {
		t.Fatalf("status %s after unshelving", got)
	}
	if n := len(c.Demo.Get("/image/v2/images?name=s-shelved").Expect(http.StatusOK).List("images")); n != 0 {
		t.Errorf("%d images are left", n)
	}
}

// TestImageOfAVolumeBackedServer: snapshots of volumes, an image without bytes
// that names them, and a server booted from that.
func TestImageOfAVolumeBackedServer(t *testing.T) {
	c := testcloud.New(t)
	_, first := server(t, c)
	boot := object{"name": "v", "flavorRef": "f1", "networks": "none", "block_device_mapping_v2": []any{object{"source_type": "image", "uuid": first,
		"destination_type": "volume", "volume_size": 1, "boot_index": 0, "delete_on_termination": true}}}
	id := c.Demo.Do("POST", "/compute/v2.1/servers", object{"server": boot}, "OpenStack-API-Version", "compute 2.37").Expect(http.StatusAccepted).String("server.id")
	c.RunTasks()
	place := act(c, id, object{"createImage": object{"name": "shot"}}, http.StatusAccepted).Header.Get("Location")
	shot := place[strings.LastIndex(place, "/")+1:]
	c.RunTasks()
	img := c.Demo.Get("/image/v2/images/" + shot).Expect(http.StatusOK)
	if img.String("status") != "active" || !strings.Contains(img.String("block_device_mapping"), "snapshot_id") {
		t.Fatalf("%s", img.Body)
	}
	if n := len(c.Demo.Get("/volume/v3/snapshots").Expect(http.StatusOK).List("snapshots")); n != 1 {
		t.Errorf("%d snapshots", n)
	}
	second := c.Demo.Do("POST", "/compute/v2.1/servers", object{"server": object{"name": "w", "flavorRef": "f1", "imageRef": shot, "networks": "none"}},
		"OpenStack-API-Version", "compute 2.37").Expect(http.StatusAccepted).String("server.id")
	c.RunTasks()
	if got := c.Demo.Get("/compute/v2.1/servers/" + second).Expect(http.StatusOK); got.String("server.status") != "ACTIVE" ||
		len(got.List("server.os-extended-volumes:volumes_attached")) != 1 {
		t.Errorf("%s", got.Body)
	}
	c.Demo.Do("POST", "/compute/v2.1/servers/"+id+"/action", object{"rebuild": object{"imageRef": first}}, "OpenStack-API-Version", "compute 2.93").Expect(http.StatusAccepted)
	c.RunTasks()
	if got := c.Demo.Get("/compute/v2.1/servers/" + id).Expect(http.StatusOK).String("server.status"); got != "ACTIVE" {
		t.Errorf("status %s after a rebuild", got)
	}
}

// TestConsoleTokens: an administrator sees what a console's token opens.
func TestConsoleTokens(t *testing.T) {
	c := testcloud.New(t)
	id, _ := server(t, c)
	address := act(c, id, object{"os-getVNCConsole": object{"type": "novnc"}}, http.StatusOK).String("console.url")
	token := address[strings.LastIndex(address, "token%3D")+len("token%3D"):]
	path := "/compute/v2.1/os-console-auth-tokens/" + token
	const header, v = "OpenStack-API-Version", "compute 2.31"
	if got := c.Admin.Get(path, header, v).Expect(http.StatusOK).String("console.instance_uuid"); got != id {
		t.Errorf("the token is for %q", got)
	}
	c.Demo.Get(path, header, v).Expect(http.StatusForbidden)
	c.Admin.Get(path[:len(path)-2]+"xx", header, v).Expect(http.StatusNotFound)
	c.Admin.Get(path, header, "compute 2.30").Expect(http.StatusUnauthorized)
}
