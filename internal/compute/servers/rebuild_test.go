package servers

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/sim"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/task/tasktest"
)

func rebuild(image string) func(w *surroundings) error {
	return func(w *surroundings) error {
		return w.servers.Rebuild(context.Background(), w.only(w.t).ID, Rebuild{ImageID: image, UserID: "user"}, false, caller())
	}
}

func (w *surroundings) spec(t *testing.T, serverID string) guest.Spec {
	t.Helper()
	body, _, err := w.servers.Render(context.Background(), "host-a")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range body.(guest.Document).Guests {
		if s.ID == serverID {
			return s
		}
	}
	t.Fatalf("server %s is not in the document", serverID)
	return guest.Spec{}
}

func TestRebuildSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "compute.server.rebuild", World: func(t *testing.T) tasktest.World {
		return world(t, bare, rebuild(imageB), func(t *testing.T, w *surroundings) {
			one := w.active(t)
			if spec := w.spec(t, one.ID); one.ImageID != imageB || spec.Disks[0].ImageID != imageB || spec.BuildSerial != 1 {
				t.Errorf("%+v, disk %+v", one, spec.Disks[0])
			}
		}, func(t *testing.T, w *surroundings) { // there is no way back, but another rebuild works
			if one := w.only(t); one.Status != "ERROR" || one.Fault == nil || one.Task != compute.NoTask {
				t.Errorf("%+v", one)
			}
			w.prepare(t, rebuild(imageA))
			if one := w.active(t); one.ImageID != imageA {
				t.Errorf("%+v", one)
			}
		})
	}})
}

func TestRebuild(t *testing.T) {
	f := newFront(t)
	id := f.boot(plainBody)
	before := f.want(200, "member", "2.90", "GET", "/servers/"+id, "")
	post := "/servers/" + id + "/action"
	status, out, header := f.do("member", "2.90", "POST", post, `{"rebuild":{"imageRef":"`+imageB+`","name":"two","metadata":{"c":"d"},"adminPass":"secret",
		"description":"new","key_name":null,"user_data":"d29ybGQ=","accessIPv4":"1.2.3.4","preserve_ephemeral":true,"hostname":"other","OS-DCF:diskConfig":"AUTO"}}`)
	if status != 202 || !strings.HasSuffix(header.Get("Location"), "/servers/"+id) {
		t.Fatalf("%d %v %v", status, out, header)
	}
	for path, want := range map[string]any{"adminPass": "secret", "status": "REBUILD", "name": "two", "metadata.c": "d", "metadata.a": nil, "key_name": nil,
		"user_data": "d29ybGQ=", "image.id": imageB, "description": "new", "accessIPv4": "1.2.3.4", "OS-DCF:diskConfig": "AUTO"} {
		if got := at(out["server"].(map[string]any), path); got != want {
			t.Errorf("answer: %s is %v, want %v", path, got, want)
		}
	}
	f.idle()
	after := f.want(200, "member", "2.90", "GET", "/servers/"+id, "")
	if at(after, "server.status") != "ACTIVE" || at(after, "server.hostId") != at(before, "server.hostId") || at(after, "server.image.id") != imageB {
		t.Errorf("%v", after)
	}
	if a, b := at(after, "server.addresses.private.addr"), at(before, "server.addresses.private.addr"); a != b {
		t.Errorf("address %v became %v", b, a)
	}
	spec := f.spec(t, id)
	if !spec.KeepBlank || string(spec.Metadata.UserData) != "world" || strings.Contains(string(spec.Metadata.MetaData), "public_keys") {
		t.Errorf("%+v %s", spec, spec.Metadata.MetaData)
	}
	release := f.hold("ensure")
	defer release()
	old := f.want(202, "member", "2.1", "POST", post, `{"rebuild":{"imageRef":"`+imageA+`"}}`)
	if m, _ := old["server"].(map[string]any); m["key_name"] != nil || m["OS-EXT-STS:vm_state"] != nil || m["adminPass"] == "" {
		t.Errorf("%v", old)
	}
	f.want(409, "member", "2.1", "POST", post, `{"rebuild":{"imageRef":"`+imageA+`"}}`)
	release()
	f.idle()
}

func TestRebuildRefuses(t *testing.T) {
	f := newFront(t)
	id := f.boot(plainBody)
	post := "/servers/" + id + "/action"
	for name, c := range map[string]struct {
		status  int
		version string
		more    string
	}{
		"key too new":      {400, "2.53", `,"key_name":"mine"`},
		"unknown key":      {400, "2.54", `,"key_name":"nobody"`},
		"data too new":     {400, "2.56", `,"user_data":"aGk="`},
		"files too old":    {400, "2.57", `,"personality":[]`},
		"hostname too new": {400, "2.89", `,"hostname":"x1"`},
		"odd data":         {400, "2.57", `,"user_data":"%%"`},
		"metadata":         {403, "2.1", `,"metadata":{"a":"1","b":"2","c":"3"}`},
		"no certificates":  {400, "2.63", `,"trusted_image_certificates":[]`},
		"name":             {400, "2.1", `,"name":""`},
		"address":          {400, "2.1", `,"accessIPv4":"::1"`},
	} {
		if status, out, _ := f.do("member", c.version, "POST", post, `{"rebuild":{"imageRef":"`+imageB+`"`+c.more+`}}`); status != c.status {
			t.Errorf("%s: %d %v", name, status, out)
		}
	}
	f.want(400, "member", "2.1", "POST", post, `{"rebuild":{"imageRef":"`+volumeA+`"}}`)
	f.want(400, "member", "2.1", "POST", post, `{"rebuild":{"name":"x"}}`)
	f.want(404, "other", "2.1", "POST", post, `{"rebuild":{"imageRef":"`+imageB+`"}}`)
	f.want(202, "member", "2.1", "POST", post, `{"lock":null}`)
	f.want(409, "member", "2.1", "POST", post, `{"rebuild":{"imageRef":"`+imageB+`"}}`)
	f.want(202, "admin", "2.1", "POST", post, `{"rebuild":{"imageRef":"`+imageB+`"}}`)
	f.idle()
	f.want(202, "member", "2.1", "POST", post, `{"unlock":null}`)
	f.want(202, "member", "2.1", "POST", post, `{"pause":null}`)
	f.idle()
	f.want(409, "member", "2.1", "POST", post, `{"rebuild":{"imageRef":"`+imageB+`"}}`)
}

// A guest whose disks are all made anew goes with them; one that has a disk that
// stays is switched off by its power button before.
func TestRebuildTakesNoTimeForNothing(t *testing.T) {
	for keep, want := range map[bool]int64{false: 1, true: 2} {
		f := newFront(t)
		id := f.boot(plainBody)
		before := f.spec(t, id)
		f.want(202, "member", "2.1", "POST", "/servers/"+id+"/action", fmt.Sprintf(`{"rebuild":{"imageRef":"%s","preserve_ephemeral":%t}}`, imageB, keep))
		f.idle()
		if after := f.spec(t, id); after.PowerSerial-before.PowerSerial != want || after.BuildSerial != before.BuildSerial+1 || after.Disks[0].ImageID != imageB {
			t.Errorf("kept %t: power was set %d times, of %+v", keep, after.PowerSerial-before.PowerSerial, after)
		}
	}
}

// A server that was off is off afterwards, with new disks.
func TestRebuildStoppedServer(t *testing.T) {
	f := newFront(t)
	id := f.boot(plainBody)
	f.want(202, "member", "2.1", "POST", "/servers/"+id+"/action", `{"os-stop":null}`)
	f.idle()
	f.want(202, "member", "2.1", "POST", "/servers/"+id+"/action", `{"rebuild":{"imageRef":"`+imageB+`"}}`)
	f.idle()
	if s := f.want(200, "member", "2.1", "GET", "/servers/"+id, ""); at(s, "server.status") != "SHUTOFF" || f.guests()[0].Power != guest.Stopped {
		t.Errorf("%v, guest %+v", s, f.guests()[0])
	}
}

func TestRebuildThatTheHostCannotMake(t *testing.T) {
	f := newFront(t)
	id := f.boot(plainBody)
	f.fail = func(call, _ string) sim.Fault {
		if call == "ensure" {
			return sim.Fault{Err: fault.Invalidf("this image cannot be read")}
		}
		return sim.Fault{}
	}
	f.want(202, "member", "2.1", "POST", "/servers/"+id+"/action", `{"rebuild":{"imageRef":"`+imageB+`"}}`)
	f.idle()
	if s := f.want(200, "member", "2.1", "GET", "/servers/"+id, ""); at(s, "server.status") != "ERROR" || at(s, "server.fault.message") != "this image cannot be read" {
		t.Errorf("%v", s)
	}
	f.fail = nil
	f.want(202, "member", "2.1", "POST", "/servers/"+id+"/action", `{"rebuild":{"imageRef":"`+imageA+`"}}`)
	f.idle()
	if s := f.want(200, "member", "2.1", "GET", "/servers/"+id, ""); at(s, "server.status") != "ACTIVE" {
		t.Errorf("%v", s)
	}
}

const volumeBody = `{"server":{"name":"one","flavorRef":"small","networks":"none","block_device_mapping_v2":[{"source_type":"volume","uuid":"` + volumeA +
	`","boot_index":0,"destination_type":"volume"}]}}`

// The root volume of a server gets another image only from 2.93 on.
func TestRebuildVolumeBacked(t *testing.T) {
	f := newFront(t)
	f.vol.all[volumeA].ImageMeta = map[string]string{"image_id": imageA}
	id := f.boot(volumeBody)
	post := "/servers/" + id + "/action"
	f.want(400, "member", "2.92", "POST", post, `{"rebuild":{"imageRef":"`+imageB+`"}}`)
	f.want(202, "member", "2.92", "POST", post, `{"rebuild":{"imageRef":"`+imageA+`"}}`)
	f.idle()
	if got := f.vol.all[volumeA].ImageMeta["image_id"]; got != imageA || len(f.vol.over) != 0 {
		t.Errorf("image %s, overwritten %v", got, f.vol.over)
	}
	f.want(202, "member", "2.93", "POST", post, `{"rebuild":{"imageRef":"`+imageB+`"}}`)
	f.idle()
	s := f.want(200, "member", "2.93", "GET", "/servers/"+id, "")
	if at(s, "server.status") != "ACTIVE" || at(s, "server.image") != "" || len(f.vol.over) != 1 || f.vol.over[0] != imageB {
		t.Errorf("%v, overwritten %v", s, f.vol.over)
	}
}

// Reimage is the model's: no guest may run on the volume meanwhile.
func (v *volumes) Reimage(_ context.Context, id, imageID string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	one := v.all[id]
	if one == nil || one.Status != blockstorage.InUse {
		return fault.NotFoundf("no such volume")
	}
	for _, f := range v.running() {
		for _, d := range f.Disks {
			if d.ID == id {
				return fault.Conflictf("a guest runs on it")
			}
		}
	}
	v.over = append(v.over, imageID)
	one.ImageMeta = map[string]string{"image_id": imageID}
	return nil
}

// FuzzMappedDisks: whatever an image says of its disks, it is read or refused.
func FuzzMappedDisks(f *testing.F) {
	f.Add(`[{"source_type":"snapshot","destination_type":"volume","snapshot_id":"` + volumeA + `","boot_index":0}]`)
	f.Add(`{}`)
	f.Fuzz(func(t *testing.T, text string) {
		img := newImages().all[imageA]
		img.Properties = map[string]string{"bdm_v2": "True", "block_device_mapping": text}
		got, err := mappedDisks(img)
		if err == nil && len(got) > 0 && !json.Valid([]byte(text)) {
			t.Errorf("%q became %+v", text, got)
		}
	})
}
