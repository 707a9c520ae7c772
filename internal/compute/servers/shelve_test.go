package servers

import (
	"context"
	"testing"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/task/tasktest"
)

func shelve(w *surroundings) error {
	return w.servers.Shelve(context.Background(), w.only(w.t).ID, ImageRequest{ProjectID: project, UserID: "user"}, false, caller())
}

func offload(w *surroundings) error {
	return w.servers.Offload(context.Background(), w.only(w.t).ID, false, caller())
}

func unshelve(w *surroundings) error {
	return w.servers.Unshelve(context.Background(), w.only(w.t).ID, Destination{}, false, caller())
}

// offloaded: nothing of the server is on a host, and an image keeps its disk.
func (w *surroundings) offloaded(t *testing.T) {
	t.Helper()
	w.check(t, 1, 0, 1, 1, 0, false)
	one := w.only(t)
	if one.Status != "SHELVED_OFFLOADED" || one.Host != "" || one.Power != compute.PowerNone {
		t.Errorf("%+v", one)
	}
	if got := w.img.of(); len(got) != 1 || got[0].ID != one.ShelvedImage || got[0].Status != image.Active || got[0].Name != "one-shelved" {
		t.Errorf("images %+v", got)
	}
}

// unharmed: the server is as it was before somebody tried to shelve it.
func (w *surroundings) unharmed(t *testing.T) {
	t.Helper()
	w.settled(t)
	w.active(t)
	if got := w.img.of(); len(got) != 0 || w.guests()[0].Power != guest.Running {
		t.Errorf("images %+v, guest %+v", got, w.guests()[0])
	}
}

func TestShelveSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "compute.server.shelve", World: func(t *testing.T) tasktest.World {
		return world(t, bare, shelve, func(t *testing.T, w *surroundings) { w.offloaded(t) }, func(t *testing.T, w *surroundings) {
			if w.only(t).Status != "SHELVED" {
				w.unharmed(t)
				return
			}
			w.prepare(t, offload) // it went too far to come back, and can go on
			w.offloaded(t)
		})
	}})
}

// stuck leaves a server SHELVED on its host, as a failure after the upload does.
func stuck(w *surroundings) error {
	one := w.only(w.t)
	one.VM, one.Task, one.Defined, one.Host = compute.Shelved, compute.NoTask, false, "host-a"
	one.HypervisorName = one.Host
	w.store(w.t, one)
	return nil
}

func TestOffloadSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "compute.server.offload", World: func(t *testing.T) tasktest.World {
		w := newSurroundings(t)
		w.prepare(t, bare, shelve, stuck)
		return w.checked(tasktest.World{DB: w.db, Open: w.open, Start: func(context.Context) error { return offload(w) }, Done: w.offloaded,
			Unwound: func(t *testing.T) {
				if one := w.only(t); one.Status != "SHELVED" || one.Fault == nil {
					t.Errorf("%+v", one)
				}
				w.prepare(t, offload)
				w.offloaded(t)
			}})
	}})
}

func TestUnshelveSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "compute.server.unshelve", World: func(t *testing.T) tasktest.World {
		w := newSurroundings(t)
		w.prepare(t, bare, shelve)
		back := func(t *testing.T) {
			one := w.active(t)
			if got := w.img.of(); len(got) != 0 || one.ShelvedImage != "" || one.ImageID != imageA || one.Host != "host-a" {
				t.Errorf("images %+v, server %+v", got, one)
			}
			if spec := w.spec(t, one.ID); spec.Disks[0].ImageID == imageA || w.guests()[0].Power != guest.Running {
				t.Errorf("the disk was not made of the shelved image: %+v", spec.Disks[0])
			}
		}
		return w.checked(tasktest.World{DB: w.db, Open: w.open, Start: func(context.Context) error { return unshelve(w) }, Done: back,
			Unwound: func(t *testing.T) {
				if one := w.only(t); one.Status != "ACTIVE" { // else only the image could not be removed
					w.offloaded(t)
					w.prepare(t, unshelve)
					back(t)
				}
			}})
	}})
}

func TestShelveAndUnshelve(t *testing.T) {
	f := newFront(t)
	id := f.boot(plainBody)
	post := "/servers/" + id + "/action"
	before := f.want(200, "admin", "2.90", "GET", "/servers/"+id, "")
	f.want(409, "member", "2.1", "POST", post, `{"unshelve":null}`)
	f.want(409, "admin", "2.1", "POST", post, `{"shelveOffload":null}`)
	f.want(403, "member", "2.1", "POST", post, `{"shelveOffload":null}`)
	f.want(202, "member", "2.1", "POST", post, `{"shelve":null}`)
	f.idle()
	s := f.want(200, "admin", "2.90", "GET", "/servers/"+id, "")
	if at(s, "server.status") != "SHELVED_OFFLOADED" || at(s, "server.OS-EXT-SRV-ATTR:host") != nil || at(s, "server.hostId") != "" ||
		at(s, "server.addresses.private.addr") != at(before, "server.addresses.private.addr") {
		t.Errorf("%v", s)
	}
	f.want(202, "member", "2.1", "POST", post, `{"unshelve":null}`)
	f.idle()
	s = f.want(200, "admin", "2.90", "GET", "/servers/"+id, "")
	if at(s, "server.status") != "ACTIVE" || at(s, "server.image.id") != imageA || at(s, "server.hostId") != at(before, "server.hostId") || len(f.img.of()) != 0 {
		t.Errorf("%v, images %+v", s, f.img.of())
	}
}

// Volumes come and go while a server is nowhere.
func TestShelvedServerAndItsVolumes(t *testing.T) {
	f := newFront(t)
	id := f.boot(plainBody)
	post, volumes := "/servers/"+id+"/action", "/servers/"+id+"/os-volume_attachments"
	f.want(202, "member", "2.1", "POST", post, `{"shelve":null}`)
	f.idle()
	f.want(200, "member", "2.1", "POST", volumes, `{"volumeAttachment":{"volumeId":"`+volumeA+`"}}`)
	f.idle()
	f.want(202, "member", "2.1", "POST", post, `{"unshelve":null}`)
	f.idle()
	f.check(t, 1, 1, 1, 1, 1, true)
	f.has(t, 4, 1)
	f.want(202, "member", "2.1", "POST", post, `{"shelve":null}`)
	f.idle()
	f.want(202, "member", "2.1", "DELETE", volumes+"/"+volumeA, "")
	f.idle()
	f.want(204, "member", "2.1", "DELETE", "/servers/"+id, "")
	f.idle()
	f.check(t, 0, 0, 0, 1, 0, false)
	if got := f.img.of(); len(got) != 0 {
		t.Errorf("a deleted server left images: %+v", got)
	}
}

func TestUnshelveTo(t *testing.T) {
	f := newFront(t)
	id := f.boot(plainBody)
	post := "/servers/" + id + "/action"
	f.want(202, "member", "2.1", "POST", post, `{"shelve":null}`)
	f.idle()
	for _, c := range []struct {
		status         int
		token, version string
		body           string
	}{
		{400, "member", "2.77", `{"unshelve":{"availability_zone":"mars"}}`}, {400, "member", "2.77", `{"unshelve":{"availability_zone":null}}`},
		{400, "member", "2.77", `{"unshelve":{}}`}, {400, "member", "2.77", `{"unshelve":{"host":"host-a"}}`}, {400, "member", "2.91", `{"unshelve":{}}`},
		{403, "member", "2.91", `{"unshelve":{"host":"host-a"}}`}, {400, "admin", "2.91", `{"unshelve":{"host":"host-z"}}`},
	} {
		f.want(c.status, c.token, c.version, "POST", post, c.body)
	}
	f.want(202, "admin", "2.91", "POST", post, `{"unshelve":{"availability_zone":null,"host":"host-a"}}`)
	f.idle()
	if s := f.want(200, "member", "2.1", "GET", "/servers/"+id, ""); at(s, "server.status") != "ACTIVE" {
		t.Errorf("%v", s)
	}
	f.want(409, "member", "2.77", "POST", post, `{"unshelve":{"availability_zone":"nova"}}`)
}

// A server whose root is a volume needs no image.
func TestShelveVolumeBacked(t *testing.T) {
	f := newFront(t)
	id := f.boot(volumeBody)
	f.want(202, "member", "2.1", "POST", "/servers/"+id+"/action", `{"shelve":null}`)
	f.idle()
	if s := f.want(200, "member", "2.1", "GET", "/servers/"+id, ""); at(s, "server.status") != "SHELVED_OFFLOADED" || len(f.img.of()) != 0 || len(f.guests()) != 0 {
		t.Errorf("%v, images %v", s, f.img.of())
	}
	f.want(202, "member", "2.1", "POST", "/servers/"+id+"/action", `{"unshelve":null}`)
	f.idle()
	if s := f.want(200, "member", "2.1", "GET", "/servers/"+id, ""); at(s, "server.status") != "ACTIVE" || f.guests()[0].Disks[0].ID != volumeA {
		t.Errorf("%v, guest %+v", s, f.guests())
	}
}
