package installation

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/apiclient"
)

// drainer moves what can be moved off one host.
type drainer struct {
	*Installation
	compute, volumes *apiclient.Service
	host             string
	left             []string // what stays, and why
}

// How long one server or volume may take to move, and how often one looks.
const (
	moveTimeout = 30 * time.Minute
	lookEvery   = time.Second
)

// Drain keeps new servers off a host and moves those that are there, and
// volumes that nobody uses, to others. Servers are stopped while they move.
func (i *Installation) Drain(ctx context.Context, host string) error {
	d, err := i.drainer(ctx, host)
	if err != nil {
		return err
	}
	if err := d.enable(ctx, false); err != nil {
		return err
	}
	i.Print.step(markDone, "disabled", "%s takes no new servers", host)
	servers, err := d.compute.List(ctx, "servers/detail", "servers", url.Values{"all_tenants": {"1"}, "host": {host}})
	if err != nil {
		return asked(err)
	}
	for _, s := range servers {
		d.note("server", s, d.moveServer(ctx, s))
	}
	volumes, err := d.volumes.List(ctx, "volumes/detail", "volumes", url.Values{"all_tenants": {"1"}})
	if err != nil {
		return asked(err)
	}
	for _, v := range volumes {
		if on, _, _ := strings.Cut(v.Text("os-vol-host-attr:host"), "@"); on == host {
			d.note("volume", v, d.moveVolume(ctx, v))
		}
	}
	if len(d.left) > 0 {
		return &Failure{Code: ExitDegraded, What: fmt.Sprintf("%d things are still on %s", len(d.left), host),
			Do: "Move or delete them, then drain again. To take it back:  mek admin hosts enable " + host}
	}
	i.Print.step(markDone, "drained", "%s is empty. To take it out of the cloud:  mek admin hosts remove %s", host, host)
	return nil
}

func (d *drainer) note(kind string, o apiclient.Object, err error) {
	if err == nil {
		return
	}
	text := fmt.Sprintf("%s %s (%s): %s", kind, o.Text("name"), o.Text("id"), apiclient.Reason(err))
	d.left = append(d.left, text)
	d.Print.step(markFailed, "stays", "%s", text)
}

func asked(err error) error {
	return &Failure{What: "the cloud cannot be asked", Why: errors.New(apiclient.Reason(err)), Do: "Look at it:  mek status"}
}

// Enable lets new servers onto a host again.
func (i *Installation) Enable(ctx context.Context, host string) error {
	d, err := i.drainer(ctx, host)
	if err != nil {
		return err
	}
	if err := d.enable(ctx, true); err != nil {
		return err
	}
	i.Print.step(markDone, "enabled", "%s takes servers", host)
	return nil
}

// RemoveHost takes a host that carries nothing out of the cloud. Its
// certificate is refused from then on.
func (i *Installation) RemoveHost(ctx context.Context, host string) error {
	d, err := i.drainer(ctx, host)
	if err != nil {
		return err
	}
	if host == i.cfg.HostName {
		return &Failure{Code: ExitUsage, What: host + " is the server's own machine", Do: "Take the cloud off it:  mek uninstall"}
	}
	service, err := d.service(ctx)
	if err != nil {
		return err
	}
	if err := d.compute.Delete(ctx, "os-services/"+service.Text("id")); err != nil {
		return &Failure{What: host + " stays in the cloud", Why: errors.New(apiclient.Reason(err)), Do: "Empty it first:  mek admin hosts drain " + host}
	}
	i.Print.step(markDone, "removed", "%s is no longer of this cloud. On the machine itself:  mek uninstall", host)
	return nil
}

func (i *Installation) drainer(ctx context.Context, host string) (*drainer, error) {
	if err := i.need(); err != nil {
		return nil, err
	}
	if i.cfg.Joined() {
		return nil, &Failure{Code: ExitUsage, What: "the server is elsewhere", Do: "Do this there: " + i.cfg.Join.API[0]}
	}
	c, err := i.client(ctx, "admin")
	if err != nil {
		return nil, asked(err)
	}
	d := &drainer{Installation: i, host: host}
	if d.compute, err = c.Service(apiclient.Compute, "2.74"); err != nil {
		return nil, asked(err)
	}
	if d.volumes, err = c.Service(apiclient.Volume, ""); err != nil {
		return nil, asked(err)
	}
	return d, nil
}

func (d *drainer) service(ctx context.Context) (apiclient.Object, error) {
	list, err := d.compute.List(ctx, "os-services", "services", url.Values{"host": {d.host}, "binary": {"nova-compute"}})
	if err != nil {
		return nil, asked(err)
	}
	if len(list) == 0 {
		return nil, &Failure{Code: ExitUsage, What: "there is no host " + d.host, Do: "See:  mek admin hosts"}
	}
	return list[0], nil
}

func (d *drainer) enable(ctx context.Context, yes bool) error {
	service, err := d.service(ctx)
	if err != nil {
		return err
	}
	body := map[string]any{"status": "enabled"}
	if !yes {
		body = map[string]any{"status": "disabled", "disabled_reason": "drained"}
	}
	if err := d.compute.Put(ctx, "os-services/"+service.Text("id"), body, nil); err != nil {
		return asked(err)
	}
	return nil
}

// moveServer migrates a server and confirms that.
func (d *drainer) moveServer(ctx context.Context, s apiclient.Object) error {
	path := "servers/" + s.Text("id")
	if s.Text("status") != "VERIFY_RESIZE" {
		if err := d.compute.Post(ctx, path+"/action", map[string]any{"migrate": nil}, nil); err != nil {
			return err
		}
	}
	if err := d.until(ctx, path, "server", func(o apiclient.Object) (bool, error) {
		if o.Text("status") == "ERROR" {
			return false, errors.New("it ended in ERROR: " + o.Inner("fault").Text("message"))
		}
		if o["OS-EXT-STS:task_state"] == nil && o.Text("status") != "VERIFY_RESIZE" && o.Text("OS-EXT-SRV-ATTR:host") == d.host {
			return false, errors.New("it stays: the move was undone")
		}
		return o["OS-EXT-STS:task_state"] == nil && o.Text("status") == "VERIFY_RESIZE", nil
	}); err != nil {
		return err
	}
	if err := d.compute.Post(ctx, path+"/action", map[string]any{"confirmResize": nil}, nil); err != nil {
		return err
	}
	var to string
	err := d.until(ctx, path, "server", func(o apiclient.Object) (bool, error) {
		to = o.Text("OS-EXT-SRV-ATTR:host")
		return o["OS-EXT-STS:task_state"] == nil && o.Text("status") != "VERIFY_RESIZE", nil
	})
	if err == nil {
		d.Print.step(markDone, "moved", "server %s to %s", s.Text("name"), to)
	}
	return err
}

// moveVolume copies a volume that nobody uses to the host with most room.
func (d *drainer) moveVolume(ctx context.Context, v apiclient.Object) error {
	if v.Text("status") != "available" {
		return errors.New("it is " + v.Text("status"))
	}
	pools, err := d.volumes.List(ctx, "scheduler-stats/get_pools", "pools", url.Values{"detail": {"true"}})
	if err != nil {
		return err
	}
	to, most := "", -1.0
	for _, p := range pools {
		room, _ := p.Inner("capabilities")["free_capacity_gb"].(float64)
		if on, _, _ := strings.Cut(p.Text("name"), "@"); on != d.host && room > most {
			to, most = p.Text("name"), room
		}
	}
	if to == "" {
		return errors.New("there is no other host")
	}
	path := "volumes/" + v.Text("id")
	if err := d.volumes.Post(ctx, path+"/action", map[string]any{"os-migrate_volume": map[string]any{"host": to}}, nil); err != nil {
		return err
	}
	err = d.until(ctx, path, "volume", func(o apiclient.Object) (bool, error) {
		if o.Text("migration_status") == "error" {
			return false, errors.New("its migration failed")
		}
		return o.Text("os-vol-host-attr:host") == to && o.Text("status") == "available", nil
	})
	if err == nil {
		d.Print.step(markDone, "moved", "volume %s to %s", v.Text("name"), to)
	}
	return err
}

// until looks at an object until done says so.
func (d *drainer) until(ctx context.Context, path, key string, done func(apiclient.Object) (bool, error)) error {
	service := d.compute
	if key == "volume" {
		service = d.volumes
	}
	for begun := d.Clock.Now(); d.Clock.Now().Sub(begun) < moveTimeout; {
		var out map[string]apiclient.Object
		if err := service.Get(ctx, path, &out); err != nil {
			return err
		}
		if yes, err := done(out[key]); yes || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-d.Clock.After(lookEvery):
		}
	}
	return errors.New("it takes too long; it goes on by itself")
}
