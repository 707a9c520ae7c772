package world

import (
	"testing"

	"github.com/mekcloud/mek/internal/testcloud"
)

// Object is a JSON object.
type Object = map[string]any

// World is a cloud with people and objects in it.
type World struct {
	People                People
	Roles                 map[string]string // by name
	Domain, OtherDomain   string
	Project, Other, Third string // of the people; foreign; one that things are shared with
	Trustee               string
	Things                map[string]string // ids by what they are
	cloud                 *testcloud.Cloud
	t                     testing.TB
	a, m                  *Person // who makes things: project admin, project member
	places                map[string]string
}

// New fills a cloud.
func New(t testing.TB, cloud *testcloud.Cloud) *World {
	t.Helper()
	w := &World{Roles: map[string]string{}, Things: map[string]string{}, cloud: cloud, t: t}
	w.settle()
	w.a, w.m = w.People.Named("project admin"), w.People.Named("project member")
	w.identities()
	w.networks()
	w.images()
	w.volumes()
	w.servers()
	w.stock()
	w.objects()
	cloud.RunTasks()
	w.expire()
	return w
}

// Cloud is the cloud that was filled.
func (w *World) Cloud() *testcloud.Cloud { return w.cloud }

func (w *World) by(p *Person, method, path string, body any, headers ...string) *testcloud.Answer {
	w.t.Helper()
	c := *w.cloud.Anonymous()
	c.Token = p.Token
	return c.Do(method, path, body, headers...)
}

func (w *World) admin(method, path string, body any, headers ...string) *testcloud.Answer {
	w.t.Helper()
	return w.cloud.Admin.Do(method, path, body, headers...)
}

func (w *World) anonymous(method, path string, body any, headers ...string) *testcloud.Answer {
	w.t.Helper()
	return w.cloud.Anonymous().Do(method, path, body, headers...)
}

// made sends a request that makes something, and remembers its id under a name.
func (w *World) made(p *Person, name, path, idAt string, body any, headers ...string) string {
	w.t.Helper()
	a := w.by(p, "POST", path, body, headers...)
	if a.Status/100 != 2 {
		w.t.Fatalf("%s: %d %s", name, a.Status, a.Body)
	}
	id := a.Value(idAt)
	text, ok := id.(string)
	if !ok {
		w.t.Fatalf("%s: no id at %s in %s", name, idAt, a.Body)
	}
	w.Things[name] = text
	return text
}

// set sends a request that must succeed.
func (w *World) set(p *Person, method, path string, body any, headers ...string) *testcloud.Answer {
	w.t.Helper()
	a := w.by(p, method, path, body, headers...)
	if a.Status/100 != 2 {
		w.t.Fatalf("%s %s: %d %s", method, path, a.Status, a.Body)
	}
	return a
}
