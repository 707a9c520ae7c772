package servers

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/task/tasktest"
)

func (w *surroundings) active(t *testing.T) *Server {
	t.Helper()
	w.check(t, 1, 1, 1, 1, 0, true)
	one := w.only(t)
	if one.Status != "ACTIVE" {
		t.Errorf("%+v", one)
	}
	return one
}

func TestImageSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "compute.server.image", World: func(t *testing.T) tasktest.World {
		return world(t, bare, func(w *surroundings) error {
			_, err := w.servers.CreateImage(context.Background(), w.only(w.t).ID, ImageRequest{Name: "shot", ProjectID: project, UserID: "user"}, caller())
			return err
		}, func(t *testing.T, w *surroundings) {
			w.active(t)
			if got := w.img.of(); len(got) != 1 || got[0].Status != image.Active || got[0].Size == 0 {
				t.Errorf("images %+v", got)
			}
		}, func(t *testing.T, w *surroundings) {
			w.active(t)
			if got := w.img.of(); len(got) != 0 {
				t.Errorf("images %+v", got)
			}
		})
	}})
}

func TestCreateImage(t *testing.T) {
	f := newFront(t)
	id := f.boot(plainBody)
	post := "/servers/" + id + "/action"
	status, _, header := f.do("member", "2.1", "POST", post, `{"createImage":{"name":"shot","metadata":{"a":"b","os_distro":"mine"}}}`)
	place := header.Get("Location")
	if status != 202 || !strings.Contains(place, "/images/") {
		t.Fatalf("%d, Location %q", status, place)
	}
	f.idle()
	made := f.img.of()
	if len(made) != 1 || !strings.HasSuffix(place, made[0].ID) || made[0].Status != image.Active || made[0].MinDisk != 2 {
		t.Fatalf("%+v", made)
	}
	for name, want := range map[string]string{"a": "b", "os_distro": "mine", "bittorrent": "", "image_type": "snapshot", "instance_uuid": id,
		"base_image_ref": imageA, "user_id": "user", "owner_id": project, "image_location": "snapshot", "image_state": "available"} {
		if got := made[0].Properties[name]; got != want {
			t.Errorf("property %s is %q, want %q", name, got, want)
		}
	}
	out := f.want(202, "member", "2.45", "POST", post, `{"createImage":{"name":"two"}}`)
	f.idle()
	if made = f.img.of(); len(made) != 2 || out["image_id"] != made[1].ID {
		t.Errorf("%v, %+v", out, made)
	}
	for body, want := range map[string]int{`{"createImage":{}}`: 400, `{"createImage":{"name":""}}`: 400, `{"createImage":{"name":"x","metadata":{"":"x"}}}`: 400,
		`{"createImage":{"name":"x","metadata":{"a":"1","b":"2","c":"3"}}}`: 403, `{"createImage":{"name":"x","color":"red"}}`: 400} {
		f.want(want, "member", "2.1", "POST", post, body)
	}
	f.want(404, "other", "2.1", "POST", post, `{"createImage":{"name":"x"}}`)
	f.want(403, "reader", "2.1", "POST", post, `{"createImage":{"name":"x"}}`)
	if n := len(f.img.of()); n != 2 {
		t.Errorf("%d images after refusals", n)
	}
	f.want(202, "admin", "2.1", "POST", post, `{"os-resetState":{"state":"error"}}`)
	f.want(409, "member", "2.1", "POST", post, `{"createImage":{"name":"x"}}`)
}

func TestCreateBackupRotates(t *testing.T) {
	f := newFront(t)
	id := f.boot(plainBody)
	post := "/servers/" + id + "/action"
	for i := range 3 {
		f.want(202, "member", "2.1", "POST", post, fmt.Sprintf(`{"createBackup":{"name":"b%d","backup_type":"daily","rotation":2}}`, i))
		f.idle()
	}
	var names []string
	for _, i := range f.img.of() {
		names = append(names, i.Name+i.Properties["backup_type"]+i.Properties["image_type"])
	}
	if got := fmt.Sprint(names); got != "[b1dailybackup b2dailybackup]" {
		t.Error(got)
	}
	if status, _, header := f.do("member", "2.1", "POST", post, `{"createBackup":{"name":"x","backup_type":"daily","rotation":0}}`); status != 202 || header.Get("Location") != "" {
		t.Errorf("%d %v", status, header)
	}
	f.idle()
	if n := len(f.img.of()); n != 0 {
		t.Errorf("%d backups after rotation to none", n)
	}
	f.want(400, "member", "2.1", "POST", post, `{"createBackup":{"name":"x","backup_type":"daily","rotation":-1}}`)
	f.want(400, "member", "2.1", "POST", post, `{"createBackup":{"name":"x","backup_type":"daily"}}`)
}

// A server booted from a volume becomes snapshots of its volumes and an image
// that names them; a server made of that image gets volumes of its own.
func TestImageOfVolumeBackedServer(t *testing.T) {
	f := newFront(t)
	id := f.boot(`{"server":{"name":"one","flavorRef":"small","networks":"none","block_device_mapping_v2":[{"source_type":"volume","uuid":"` + volumeA + `","boot_index":0,"destination_type":"volume"}]}}`)
	f.want(202, "member", "2.1", "POST", "/servers/"+id+"/action", `{"createImage":{"name":"shot"}}`)
	f.idle()
	made := f.img.of()
	if len(made) != 1 || made[0].Status != image.Active || made[0].Properties["bdm_v2"] != "True" || f.vol.snapshots() != 1 {
		t.Fatalf("%+v, %d snapshots", made, f.vol.snapshots())
	}
	var mapping []struct {
		Source   string `json:"source_type"`
		Snapshot string `json:"snapshot_id"`
		Boot     int    `json:"boot_index"`
	}
	if err := json.Unmarshal([]byte(made[0].Properties["block_device_mapping"]), &mapping); err != nil || len(mapping) != 1 || mapping[0].Source != "snapshot" ||
		mapping[0].Boot != 0 || f.vol.shots[mapping[0].Snapshot] != volumeA {
		t.Errorf("%+v, error %v", mapping, err)
	}
	f.want(400, "member", "2.1", "POST", "/servers/"+id+"/action", `{"createBackup":{"name":"x","backup_type":"daily","rotation":1}}`)
	second := f.boot(strings.Replace(plainBody, imageA, made[0].ID, 1))
	out := f.want(200, "member", "2.1", "GET", "/servers/"+second, "")
	if at(out, "server.image") != "" || at(out, "server.status") != "ACTIVE" || at(out, "server.os-extended-volumes:volumes_attached.id") == volumeA ||
		at(out, "server.os-extended-volumes:volumes_attached.id") == nil {
		t.Errorf("%v", out)
	}
}
