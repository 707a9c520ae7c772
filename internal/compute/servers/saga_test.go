package servers

import (
	"context"
	"fmt"
	"testing"

	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/task"
	"github.com/mekcloud/mek/internal/task/tasktest"
	"github.com/mekcloud/mek/test/await"
)

// request is a server with everything: image, own volume, user's volume, card, key.
func request() Request {
	return Request{Server: compute.Server{Name: "one", ProjectID: project, UserID: "user", ImageID: imageA, KeyName: "mine", ConfigDrive: true,
		UserData: "aGVsbG8=", Metadata: map[string]string{"a": "b"}, Tags: []string{"t"}},
		FlavorID: "small", Min: 1, Max: 1, Groups: []string{"default"},
		Disks: []DiskRequest{{Source: "volume", UUID: volumeA, Tag: "mine"}, {Source: "blank", SizeGiB: 1, DeleteOnTermination: true}}}
}

func (w *surroundings) only(t *testing.T) *Server {
	t.Helper()
	all, err := w.servers.store.List(context.Background(), listing.Query{})
	if err != nil || len(all) != 1 {
		t.Fatalf("%d servers, %v", len(all), err)
	}
	return all[0]
}

// check compares what there is with what there should be.
func (w *surroundings) check(t *testing.T, servers, guests, ports, volumes, attachments int, claimed bool) {
	t.Helper()
	all, err := w.servers.store.List(context.Background(), listing.Query{})
	if err != nil {
		t.Fatal(err)
	}
	w.connected(t)
	v, a := w.vol.count()
	got := fmt.Sprint(len(all), " ", len(w.guests()), " ", len(w.net.all), " ", v, " ", a)
	if want := fmt.Sprint(servers, " ", guests, " ", ports, " ", volumes, " ", attachments); got != want {
		t.Errorf("servers, guests, ports, volumes, attachments: %s, want %s", got, want)
	}
	if len(all) > 0 {
		held, err := w.place.AllocationsOf(context.Background(), nil, all[0].ID)
		if err != nil || (len(held) > 0) != claimed {
			t.Errorf("allocations %v, %v", held, err)
		}
		if all[0].Task != compute.NoTask {
			t.Errorf("task %s is left", all[0].Task)
		}
	}
}

// connected checks that block storage knows of every volume that is part of what
// a host should have (I-07).
func (w *surroundings) connected(t *testing.T) {
	t.Helper()
	disks, err := VolumesOf(context.Background(), w.db)
	if err != nil {
		t.Fatal(err)
	}
	w.vol.mu.Lock()
	defer w.vol.mu.Unlock()
	for _, d := range disks {
		if d.Defined && w.vol.attached[d.ID] != d.Object {
			t.Errorf("I-07: server %s has volume %s, %s, and there is no attachment", d.Server, d.Object, d.State)
		}
	}
}

// world makes a tasktest.World of surroundings; before runs to its end first.
func world(t *testing.T, before, start func(w *surroundings) error, done, unwound func(t *testing.T, w *surroundings)) tasktest.World {
	w := newSurroundings(t)
	if before != nil {
		w.prepare(t, before)
	}
	return w.checked(tasktest.World{DB: w.db, Open: w.open, Start: func(context.Context) error { return start(w) },
		Done: func(t *testing.T) { done(t, w) }, Unwound: func(t *testing.T) { unwound(t, w) }})
}

// checked has the conservation queries of servers and of Placement hold, and the
// server deleted in the middle of each step.
func (w *surroundings) checked(x tasktest.World) tasktest.World {
	x.Delete = func(ctx context.Context) error { return w.servers.Delete(ctx, w.only(w.t).ID, false, caller()) }
	x.Deleted = func(t *testing.T) { w.check(t, 0, 0, 0, 1, 0, false) }
	x.Checks = func() []check.Check { return append(w.servers.Checks(), w.place.Checks()...) }
	x.Agents, x.Sections = func() check.Agents { return w.hub }, []check.Section{check.Guests}
	return x
}

// prepare runs requests to their end on an engine without faults.
func (w *surroundings) prepare(t *testing.T, requests ...func(w *surroundings) error) {
	t.Helper()
	engine := w.open(tasktest.Options(w.db, nil))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- engine.Run(ctx) }()
	for _, r := range requests {
		if err := r(w); err != nil {
			t.Fatal(err)
		}
		if err := engine.Idle(ctx); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func create(w *surroundings) error {
	_, err := w.servers.Create(context.Background(), request(), caller())
	return err
}

func bare(w *surroundings) error {
	in := request()
	in.Disks = nil
	_, err := w.servers.Create(context.Background(), in, caller())
	return err
}

func TestCreateSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "compute.server.create", World: func(t *testing.T) tasktest.World {
		return world(t, nil, create, func(t *testing.T, w *surroundings) {
			w.check(t, 1, 1, 1, 2, 2, true)
			one := w.only(t)
			if one.Status != "ACTIVE" || one.Power != compute.PowerRunning || one.Host != "host-a" || one.LaunchedAt == 0 || one.Zone != "nova" {
				t.Errorf("%+v", one)
			}
			if f := w.guests()[0]; f.Power != guest.Running || len(f.Disks) != 5 || len(f.NICs) != 1 {
				t.Errorf("guest %+v", f)
			}
		}, func(t *testing.T, w *surroundings) {
			w.check(t, 1, 0, 0, 1, 0, false)
			if one := w.only(t); one.Status != "ERROR" || one.Fault == nil || one.Fault.RequestID == "" || one.Host != "" {
				t.Errorf("%+v %+v", one, one.Fault)
			}
		})
	}})
}

func TestDeleteSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "compute.server.delete", World: func(t *testing.T) tasktest.World {
		return world(t, create, func(w *surroundings) error {
			return w.servers.Delete(context.Background(), w.only(t).ID, false, caller())
		}, func(t *testing.T, w *surroundings) { w.check(t, 0, 0, 0, 1, 0, false) },
			func(t *testing.T, w *surroundings) { // it cannot be taken back: it can be done again
				if one := w.only(t); one.Status != "ERROR" {
					t.Errorf("%+v", one)
				}
				w.prepare(t, func(w *surroundings) error {
					return w.servers.Delete(context.Background(), w.only(t).ID, false, caller())
				})
				w.check(t, 0, 0, 0, 1, 0, false)
			})
	}})
}

func power(verb string) func(w *surroundings) error {
	return func(w *surroundings) error {
		return w.servers.Power(context.Background(), w.only(w.t).ID, verb, false, caller())
	}
}

func TestPowerSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "compute.server.power", World: func(t *testing.T) tasktest.World {
		return world(t, bare, power("os-stop"), func(t *testing.T, w *surroundings) {
			w.check(t, 1, 1, 1, 1, 0, true)
			if one := w.only(t); one.Status != "SHUTOFF" || one.Power != compute.PowerShutdown || w.guests()[0].Power != guest.Stopped {
				t.Errorf("%+v, guest %s", one, w.guests()[0].Power)
			}
		}, func(t *testing.T, w *surroundings) {
			w.check(t, 1, 1, 1, 1, 0, true)
			await.That(t, "active again", func() bool { // the host reports on its way there
				one := w.only(t)
				return one.Status == "ACTIVE" && one.Desired == guest.Running
			})
		})
	}})
}

func TestRebootSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "compute.server.reboot", World: func(t *testing.T) tasktest.World {
		active := func(t *testing.T, w *surroundings) {
			w.check(t, 1, 1, 1, 1, 0, true)
			if one := w.only(t); one.Status != "ACTIVE" || w.guests()[0].Power != guest.Running {
				t.Errorf("%+v, guest %s", one, w.guests()[0].Power)
			}
		}
		return world(t, bare, func(w *surroundings) error {
			return w.servers.SoftReboot(context.Background(), w.only(t).ID, false, caller())
		}, active, active)
	}})
}

func attachA(w *surroundings) error {
	_, err := w.servers.AttachVolume(context.Background(), w.only(w.t).ID, Disk{VolumeID: volumeA, SizeGiB: 1}, false, caller())
	return err
}

// has counts the disks and cards that the guest has plugged in.
func (w *surroundings) has(t *testing.T, disks, cards int) {
	t.Helper()
	f := w.guests()[0]
	if len(f.Disks) != disks || len(f.NICs) != cards {
		t.Errorf("the guest has disks %v and cards %v", f.Disks, f.NICs)
	}
}

func TestAttachVolumeSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "compute.volume.attach", World: func(t *testing.T) tasktest.World {
		return world(t, bare, attachA, func(t *testing.T, w *surroundings) { w.check(t, 1, 1, 1, 1, 1, true); w.has(t, 4, 1) },
			func(t *testing.T, w *surroundings) { w.check(t, 1, 1, 1, 1, 0, true); w.has(t, 3, 1) })
	}})
}

func TestDetachVolumeSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "compute.volume.detach", World: func(t *testing.T) tasktest.World {
		return world(t, func(w *surroundings) error {
			in := request()
			in.Disks = in.Disks[:1]
			_, err := w.servers.Create(context.Background(), in, caller())
			return err
		}, func(w *surroundings) error {
			return w.servers.DetachVolume(context.Background(), w.only(t).ID, volumeA, false, caller())
		}, func(t *testing.T, w *surroundings) { w.check(t, 1, 1, 1, 1, 0, true); w.has(t, 3, 1) },
			func(t *testing.T, w *surroundings) { // given back, or detached for good: one of them whole
				_, attachments := w.vol.count()
				w.check(t, 1, 1, 1, 1, attachments, true)
				w.settled(t)
				w.has(t, 3+attachments, 1)
			})
	}})
}

// settled waits until the host has what the rows say.
func (w *surroundings) settled(t *testing.T) {
	t.Helper()
	host := w.only(t).Host
	_, revision, err := w.servers.Render(context.Background(), host)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.servers.settle(context.Background(), place{host, revision}, w.only(t).ID); err != nil {
		t.Fatal(err)
	}
}

func TestAttachInterfaceSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "compute.interface.attach", World: func(t *testing.T) tasktest.World {
		return world(t, bare, func(w *surroundings) error {
			_, _, err := w.servers.AttachInterface(context.Background(), w.only(t).ID, network.PortRequest{NetworkID: netA}, false, caller())
			return err
		}, func(t *testing.T, w *surroundings) { w.check(t, 1, 1, 2, 1, 0, true); w.has(t, 3, 2) },
			func(t *testing.T, w *surroundings) { w.check(t, 1, 1, 1, 1, 0, true); w.has(t, 3, 1) })
	}})
}

func TestDetachInterfaceSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "compute.interface.detach", World: func(t *testing.T) tasktest.World {
		return world(t, bare, func(w *surroundings) error {
			one := w.only(t)
			nics, err := nicsOf(context.Background(), w.db, one.ID)
			if err != nil {
				return err
			}
			return w.servers.DetachInterface(context.Background(), one.ID, nics[one.ID][0].PortID, false, caller())
		}, func(t *testing.T, w *surroundings) { w.check(t, 1, 1, 0, 1, 0, true); w.has(t, 3, 0) },
			func(t *testing.T, w *surroundings) {
				w.settled(t)
				ports := len(w.net.all)
				w.check(t, 1, 1, ports, 1, 0, true)
				w.has(t, 3, ports)
			})
	}})
}

func TestEverySagaHasAFixture(t *testing.T) {
	w := newSurroundings(t)
	tasktest.RequireFixtures(t, ".", w.open(task.Options{}))
}
