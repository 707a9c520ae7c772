package servers

import (
	"context"
	"fmt"
	"testing"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/task/tasktest"
	"github.com/mekcloud/mek/test/await"
)

func rescue(w *surroundings) error {
	return w.servers.Rescue(context.Background(), w.only(w.t).ID, "", false, false, false, caller())
}

func unrescue(w *surroundings) error {
	return w.servers.Unrescue(context.Background(), w.only(w.t).ID, false, caller())
}

// disksIn are the ids of a guest's disks with their place in the boot order.
func disksIn(s guest.Spec) string {
	out := []string{}
	for _, d := range s.Disks {
		out = append(out, fmt.Sprintf("%s:%d", d.ID, d.BootIndex))
	}
	return fmt.Sprint(out)
}

const (
	plainDisks   = "[root:1 ephemeral0:0 swap:0]"
	rescuedDisks = "[rescue:1 root:2 ephemeral0:0 swap:0]"
)

func (w *surroundings) rescued(t *testing.T, is bool) {
	t.Helper()
	w.check(t, 1, 1, 1, 1, 0, true)
	status, disks := "ACTIVE", plainDisks
	if is {
		status, disks = "RESCUE", rescuedDisks
	}
	one := w.only(t)
	if spec := w.spec(t, one.ID); string(one.Status) != status || disksIn(spec) != disks || spec.Rescue != is {
		t.Errorf("%+v, disks %s", one, disksIn(spec))
	}
	w.settled(t)
	if f := w.guests()[0]; f.Power != guest.Running || (f.Disks[0].ID == "rescue") != is {
		t.Errorf("guest %+v", f)
	}
}

func TestRescueSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "compute.server.rescue", World: func(t *testing.T) tasktest.World {
		return world(t, bare, rescue, func(t *testing.T, w *surroundings) { w.rescued(t, true) },
			func(t *testing.T, w *surroundings) { w.settled(t); w.rescued(t, false) })
	}})
}

func TestUnrescueSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "compute.server.rescue", World: func(t *testing.T) tasktest.World {
		w := newSurroundings(t)
		w.prepare(t, bare, rescue)
		return w.checked(tasktest.World{DB: w.db, Open: w.open, Start: func(context.Context) error { return unrescue(w) },
			Done: func(t *testing.T) { w.rescued(t, false) }, Unwound: func(t *testing.T) { w.settled(t); w.rescued(t, true) }})
	}})
}

func TestRescue(t *testing.T) {
	f := newFront(t)
	id := f.boot(plainBody)
	post := "/servers/" + id + "/action"
	f.want(409, "member", "2.1", "POST", post, `{"unrescue":null}`)
	f.want(400, "member", "2.1", "POST", post, `{"rescue":{"rescue_image_ref":"x"}}`)
	f.want(400, "member", "2.1", "POST", post, `{"rescue":{"rescue_image_ref":"`+volumeA+`"}}`)
	f.want(400, "member", "2.1", "POST", post, `{"rescue":{"color":"red"}}`)
	f.want(404, "other", "2.1", "POST", post, `{"rescue":null}`)
	if out := f.want(200, "member", "2.1", "POST", post, `{"rescue":{"adminPass":"secret"}}`); out["adminPass"] != "secret" {
		t.Errorf("%v", out)
	}
	f.want(409, "member", "2.1", "POST", post, `{"rescue":null}`)
	f.idle()
	if s := f.want(200, "member", "2.1", "GET", "/servers/"+id, ""); at(s, "server.status") != "RESCUE" || at(s, "server.OS-EXT-STS:task_state") != nil {
		t.Errorf("%v", s)
	}
	for _, body := range []string{`{"rescue":null}`, `{"reboot":{"type":"HARD"}}`, `{"rebuild":{"imageRef":"` + imageA + `"}}`, `{"createImage":{"name":"x"}}`} {
		f.want(409, "member", "2.1", "POST", post, body)
	}
	f.want(409, "member", "2.1", "POST", "/servers/"+id+"/os-volume_attachments", `{"volumeAttachment":{"volumeId":"`+volumeA+`"}}`)
	f.want(202, "member", "2.1", "POST", post, `{"unrescue":null}`)
	f.idle()
	f.rescued(t, false)
}

// A guest in rescue that switches itself off is still one that can be unrescued.
func TestRescuedGuestThatGoesOff(t *testing.T) {
	f := newFront(t)
	id := f.boot(plainBody)
	f.want(200, "member", "2.1", "POST", "/servers/"+id+"/action", `{"rescue":null}`)
	f.idle()
	if err := f.driver.SwitchOff(id); err != nil {
		t.Fatal(err)
	}
	await.That(t, "power state off", func() bool {
		s := f.want(200, "member", "2.1", "GET", "/servers/"+id, "")
		return at(s, "server.OS-EXT-STS:power_state") == 4.0 && at(s, "server.status") == "RESCUE"
	})
	f.want(202, "member", "2.1", "POST", "/servers/"+id+"/action", `{"unrescue":null}`)
	f.idle()
	f.rescued(t, false)
}

func TestStableRescue(t *testing.T) {
	f := newFront(t)
	id := f.boot(plainBody)
	f.want(200, "member", "2.1", "POST", "/servers/"+id+"/action", `{"rescue":{"rescue_image_ref":"`+imageR+`"}}`)
	f.idle()
	if spec := f.spec(t, id); disksIn(spec) != "[root:2 ephemeral0:0 swap:0 rescue:1]" || spec.Rescue || spec.Disks[3].ImageID != imageR {
		t.Errorf("%s %+v", disksIn(spec), spec)
	}
	if ok, err := f.servers.HostMayRead(context.Background(), "host-a", imageR); !ok || err != nil {
		t.Errorf("the host may not read the rescue image: %v", err)
	}
}

// A root that is a volume is rescued only by an image that says where it goes, from 2.87 on.
func TestRescueVolumeBacked(t *testing.T) {
	f := newFront(t)
	id := f.boot(volumeBody)
	post := "/servers/" + id + "/action"
	f.want(400, "member", "2.87", "POST", post, `{"rescue":null}`)
	f.want(400, "member", "2.87", "POST", post, `{"rescue":{"rescue_image_ref":"`+imageA+`"}}`)
	f.img.all[imageR].Properties["hw_rescue_bus"] = "usb"
	f.want(400, "member", "2.86", "POST", post, `{"rescue":{"rescue_image_ref":"`+imageR+`"}}`)
	f.want(200, "member", "2.87", "POST", post, `{"rescue":{"rescue_image_ref":"`+imageR+`"}}`)
	f.idle()
	spec := f.spec(t, id)
	if last := spec.Disks[len(spec.Disks)-1]; last.ID != "rescue" || last.Bus != guest.BusUSB || spec.Disks[0].VolumeID != volumeA {
		t.Errorf("%+v", spec.Disks)
	}
	if f.vol.all[volumeA].Status != blockstorage.InUse {
		t.Errorf("volume %+v", f.vol.all[volumeA])
	}
}
