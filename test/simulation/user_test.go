package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// thing is something a user asked for, and what it knows of it.
type thing struct {
	kind *kind
	id   string // empty: the answer was lost, and it may be there by its name
	name string
	gone state
}

// state is what a user knows of a thing's end.
type state int

const (
	there   state = iota
	perhaps       // the answer to a delete was lost
	leaving       // a delete was accepted
	left          // it was seen to be gone
)

// kind is how a kind of things is made and named.
type kind struct {
	path, one, many string
	named           bool
	async           bool // a delete goes on after its answer
}

var (
	servers   = &kind{"/compute/v2.1/servers", "server", "servers", true, true}
	volumes_  = &kind{"/volume/v3/volumes", "volume", "volumes", true, true}
	snapshots = &kind{"/volume/v3/snapshots", "snapshot", "snapshots", true, true}
	ports_    = &kind{"/networking/v2.0/ports", "port", "ports", true, false}
	floatings = &kind{"/networking/v2.0/floatingips", "floatingip", "floatingips", false, false}
	images    = &kind{"/image/v2/images", "", "images", true, false}
	kinds     = []*kind{servers, snapshots, volumes_, floatings, ports_, images}
)

// user is one client of the cloud. Its things are its own.
type user struct {
	w      *world
	n      int
	random *rand.Rand
	made   int
	things []*thing
}

// run works until ctx ends.
func (u *user) run(ctx context.Context) {
	for pause(ctx, time.Duration(u.random.Int64N(int64(1500*time.Millisecond)))) {
		u.step(ctx)
	}
}

func (u *user) step(ctx context.Context) {
	switch n := u.random.IntN(100); {
	case n < 12 && u.count(servers) < 6:
		u.createServer(ctx)
	case n < 20 && u.count(volumes_) < 5:
		u.create(ctx, volumes_, object{"size": 1 + u.random.IntN(3)})
	case n < 24 && u.count(ports_) < 4:
		u.create(ctx, ports_, object{"network_id": u.w.base.network})
	case n < 27 && u.count(floatings) < 3:
		u.create(ctx, floatings, object{"floating_network_id": u.w.base.outside})
	case n < 29 && u.count(images) < 3:
		u.create(ctx, images, object{"disk_format": "raw", "container_format": "bare"})
	case n < 32 && u.count(snapshots) < 3:
		if v := u.pick(volumes_); v != nil {
			u.create(ctx, snapshots, object{"volume_id": v.id, "force": true})
		}
	case n < 62:
		u.act(ctx)
	case n < 72:
		u.connect(ctx)
	case n < 90:
		u.look(ctx)
	default:
		if t := u.pick(kinds[u.random.IntN(len(kinds))]); t != nil {
			u.remove(ctx, t)
		}
	}
}

func (u *user) count(k *kind) int {
	n := 0
	for _, t := range u.things {
		if t.kind == k && t.gone < left {
			n++
		}
	}
	return n
}

// pick chooses something that should be there.
func (u *user) pick(k *kind) *thing {
	var all []*thing
	for _, t := range u.things {
		if t.kind == k && t.id != "" && t.gone == there {
			all = append(all, t)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all[u.random.IntN(len(all))]
}

// do sends a request; failures of the server itself are never right.
func (u *user) do(ctx context.Context, method, path string, body any) (answer, error) {
	a, err := u.w.call(context.WithoutCancel(ctx), u.w.base.demo, method, path, body)
	if err == nil && a.status >= 500 && a.status != http.StatusServiceUnavailable {
		u.w.violation("%s %s: %s", method, path, a)
	}
	if err == nil && a.status == http.StatusServiceUnavailable {
		err = errLost // whether it happened is not known
	}
	return a, err
}

func (u *user) create(ctx context.Context, k *kind, body object) *thing {
	u.made++
	t := &thing{kind: k, name: fmt.Sprintf("u%d-%d", u.n, u.made)}
	if k.named {
		body["name"] = t.name
	} else {
		body["description"] = t.name
	}
	var out any = body
	id := "id"
	if k.one != "" {
		out, id = object{k.one: body}, k.one+".id"
	}
	a, err := u.do(ctx, "POST", k.path, out)
	switch {
	case err != nil:
		t.gone = perhaps
		u.things = append(u.things, t)
	case a.status < 300:
		t.id = a.text(id)
		u.things = append(u.things, t)
		u.w.note("user %d: made %s %s %s", u.n, k.one, t.name, t.id)
	case !slices.Contains([]int{400, 403, 404, 409, 413, 429}, a.status):
		u.w.violation("create %s: %s", k.path, a)
	}
	return t
}

func (u *user) createServer(ctx context.Context) {
	body := object{"flavorRef": u.w.base.flavors[u.random.IntN(2)], "imageRef": u.w.base.imageID, "networks": []any{object{"uuid": u.w.base.network}}}
	switch u.random.IntN(4) {
	case 0:
		if p := u.pick(ports_); p != nil {
			body["networks"] = []any{object{"port": p.id}}
		}
	case 1:
		delete(body, "imageRef")
		body["block_device_mapping_v2"] = []any{object{"source_type": "image", "uuid": u.w.base.imageID, "destination_type": "volume", "volume_size": 1,
			"boot_index": 0, "delete_on_termination": true}}
	}
	u.create(ctx, servers, body)
}

// act does something to a server or a volume.
func (u *user) act(ctx context.Context) {
	if u.random.IntN(6) == 0 {
		if v := u.pick(volumes_); v != nil {
			u.try(ctx, "POST", volumes_.path+"/"+v.id+"/action", object{"os-extend": object{"new_size": 2 + u.random.IntN(4)}})
		}
		return
	}
	s := u.pick(servers)
	if s == nil {
		return
	}
	actions := []object{{"os-stop": nil}, {"os-start": nil}, {"os-start": nil}, {"reboot": object{"type": "HARD"}}, {"reboot": object{"type": "SOFT"}}, {"pause": nil}, {"unpause": nil},
		{"suspend": nil}, {"resume": nil}, {"resize": object{"flavorRef": u.w.base.flavors[u.random.IntN(2)]}}, {"confirmResize": nil}, {"revertResize": nil},
		{"rebuild": object{"imageRef": u.w.base.imageID}}, {"shelve": nil}, {"shelveOffload": nil}, {"unshelve": nil}, {"rescue": object{}}, {"unrescue": nil}, {"lock": nil}, {"unlock": nil},
		{"migrate": nil}, {"os-migrateLive": object{"host": nil, "block_migration": "auto"}}}
	action := actions[u.random.IntN(len(actions))]
	token := u.w.base.demo
	for name := range action {
		if name == "migrate" || name == "os-migrateLive" || name == "shelveOffload" {
			token = u.w.base.admin
		}
		u.w.note("user %d: %s %s", u.n, name, s.id)
	}
	a, err := u.w.call(context.WithoutCancel(ctx), token, "POST", servers.path+"/"+s.id+"/action", action)
	if err == nil {
		u.expect(a, "act on "+s.id)
	}
}

// try sends a request that the state of things may refuse.
func (u *user) try(ctx context.Context, method, path string, body any) {
	if a, err := u.do(ctx, method, path, body); err == nil {
		u.expect(a, method+" "+path)
	}
}

func (u *user) expect(a answer, what string) {
	if a.status >= 300 && !slices.Contains([]int{400, 403, 409, 413, 503}, a.status) {
		u.w.violation("%s: %s", what, a)
	}
}

// connect attaches, detaches, associates and dissociates.
func (u *user) connect(ctx context.Context) {
	s := u.pick(servers)
	if s == nil {
		return
	}
	path := servers.path + "/" + s.id
	switch u.random.IntN(6) {
	case 0, 1:
		if v := u.pick(volumes_); v != nil {
			u.try(ctx, "POST", path+"/os-volume_attachments", object{"volumeAttachment": object{"volumeId": v.id}})
		}
	case 2:
		if v := u.pick(volumes_); v != nil {
			if a, err := u.do(ctx, "DELETE", path+"/os-volume_attachments/"+v.id, nil); err == nil && a.status != http.StatusNotFound {
				u.expect(a, "detach")
			}
		}
	case 3:
		if p := u.pick(ports_); p != nil {
			u.try(ctx, "POST", path+"/os-interface", object{"interfaceAttachment": object{"port_id": p.id}})
		}
	case 4:
		if p := u.pick(ports_); p != nil {
			if a, err := u.do(ctx, "DELETE", path+"/os-interface/"+p.id, nil); err == nil && a.status != http.StatusNotFound {
				u.expect(a, "detach")
			}
		}
	case 5:
		f, p := u.pick(floatings), u.pick(ports_)
		if f != nil && p != nil {
			var to any
			if u.random.IntN(3) > 0 {
				to = p.id
			}
			u.try(ctx, "PUT", floatings.path+"/"+f.id, object{"floatingip": object{"port_id": to}})
		}
	}
}

// look reads something of one's own: what is there is found at every time, and
// what was gone stays gone.
func (u *user) look(ctx context.Context) {
	if len(u.things) == 0 {
		return
	}
	t := u.things[u.random.IntN(len(u.things))]
	if t.id == "" {
		return
	}
	a, err := u.do(ctx, "GET", t.kind.path+"/"+t.id, nil)
	if err != nil {
		return
	}
	u.saw(t, a)
}

func (u *user) saw(t *thing, a answer) {
	switch {
	case a.status == http.StatusNotFound && t.gone == there:
		u.w.violation("%s %s is gone, and nobody deleted it", t.kind.many, t.id)
	case a.status == http.StatusNotFound:
		t.gone = left
	case a.status == http.StatusOK && (t.gone == left || t.gone == leaving && !t.kind.async):
		u.w.violation("%s %s was gone and is there again: %s", t.kind.many, t.id, a)
	case a.status != http.StatusOK:
		u.w.violation("show %s %s: %s", t.kind.many, t.id, a)
	}
}

func (u *user) remove(ctx context.Context, t *thing) {
	a, err := u.do(ctx, "DELETE", t.kind.path+"/"+t.id, nil)
	switch {
	case err != nil:
		t.gone = max(t.gone, perhaps)
	case a.status < 300:
		u.w.note("user %d: deleted %s %s", u.n, t.kind.one, t.id)
		t.gone = max(t.gone, leaving)
	case a.status == http.StatusNotFound && t.gone > there:
		t.gone = left
	default:
		u.expect(a, "delete "+t.kind.path+"/"+t.id)
	}
}
