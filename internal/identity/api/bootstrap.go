package identityapi

import (
	"context"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

// Seeds are what a new cloud begins with.
type Seeds struct {
	AdminPassword, DemoPassword, ServicePassword string
	Region                                       string // "RegionOne"
	Catalog                                      []identity.CatalogEntry
}

// immutable are the roles that policies depend on.
var immutable = map[string]bool{"admin": true, "manager": true, "member": true, "reader": true, "service": true}

// firstRoles are made in this order.
var firstRoles = []string{"admin", "manager", "member", "reader", "service", "creator", "heat_stack_owner",
	"load-balancer_observer", "load-balancer_global_observer", "load-balancer_member", "load-balancer_quota_admin", "load-balancer_admin",
	"swiftoperator", "ResellerAdmin"}

// firstImplications are pairs of a role and one that it implies.
var firstImplications = [][2]string{{"admin", "manager"}, {"manager", "member"}, {"member", "reader"},
	{"admin", "load-balancer_admin"}, {"load-balancer_admin", "load-balancer_quota_admin"}, {"load-balancer_admin", "load-balancer_global_observer"},
	{"load-balancer_admin", "load-balancer_member"}, {"load-balancer_member", "load-balancer_observer"},
	{"admin", "creator"}, {"admin", "heat_stack_owner"}}

// sower makes what was never made before and remembers it, so that nothing a
// person deleted comes back.
type sower struct {
	s    *Service
	ctx  context.Context
	done map[string]string // seed → id
	old  bool              // the cloud was there before: people may have changed anything
	err  error
}

// Bootstrap makes the first domain, projects, users, roles, assignments and
// catalog. It may run at every start: what it made once it never makes again,
// and when there is nothing new it only reads one table.
func (s *Service) Bootstrap(ctx context.Context, seed Seeds) error {
	done, err := sown(ctx, s.db)
	if err != nil {
		return err
	}
	w := &sower{s: s, ctx: ctx, done: done, old: len(done) > 0}
	w.once("domain:"+identity.DefaultDomainID, func() (string, error) {
		return identity.DefaultDomainID, w.project(identity.Project{ID: identity.DefaultDomainID, Name: "Default", Description: "The default domain",
			Enabled: true, IsDomain: true})
	})
	for _, name := range firstRoles {
		w.once("role:"+name, func() (string, error) { return w.role(name) })
	}
	for _, p := range firstImplications {
		w.once("implies:"+p[0]+":"+p[1], func() (string, error) { return "", s.roles.Imply(ctx, w.done["role:"+p[0]], w.done["role:"+p[1]]) })
	}
	for name, description := range map[string]string{"admin": "Administration of the cloud", "demo": "", "service": "Services of the cloud"} {
		w.once("project:"+name, func() (string, error) { return w.named(name, description) })
	}
	for name, password := range map[string]string{"admin": seed.AdminPassword, "demo": seed.DemoPassword, "service": seed.ServicePassword} {
		w.once("user:"+name, func() (string, error) { return w.user(name, password) })
	}
	for _, a := range [][3]string{{"admin", "admin", "admin"}, {"admin", "demo", "admin"}, {"demo", "demo", "member"}, {"demo", "demo", "heat_stack_owner"},
		{"demo", "demo", "load-balancer_member"}, {"service", "service", "service"}} {
		w.assign(a[0], "project:"+a[1], a[2])
	}
	w.assign("admin", "system", "admin")
	w.offer(seed)
	return w.err
}

// once runs fn unless a seed of this name was sown before.
func (w *sower) once(name string, fn func() (string, error)) {
	if _, ok := w.done[name]; ok || w.err != nil {
		return
	}
	object, err := fn()
	if w.old && (fault.Is(err, fault.NotFound) || fault.Is(err, fault.Conflict) || fault.Is(err, fault.Invalid)) {
		object, err = "", nil // what it refers to was deleted by a person
	}
	if err == nil {
		err = sow(w.ctx, w.s.db, w.s.clock, name, object)
	}
	if w.done[name] = object; err != nil {
		w.err = fault.Internalf("make %s: %w", name, err)
	}
}

func (w *sower) project(p identity.Project) error {
	_, err := w.s.projects.Create(w.ctx, p)
	return unlessThere(err)
}

// unlessThere forgives what an earlier, interrupted start has made.
func unlessThere(err error) error {
	if fault.Is(err, fault.Conflict) {
		return nil
	}
	return err
}

func (w *sower) named(name, description string) (string, error) {
	err := w.project(identity.Project{Name: name, DomainID: identity.DefaultDomainID, Description: description, Enabled: true})
	if err != nil {
		return "", err
	}
	p, err := w.s.projects.ByName(w.ctx, identity.DefaultDomainID, name)
	if err != nil {
		return "", err
	}
	return p.ID, nil
}

func (w *sower) role(name string) (string, error) {
	r := identity.Role{Name: name}
	if immutable[name] {
		yes := true
		r.Immutable = &yes
	}
	made, err := w.s.roles.Create(w.ctx, r)
	if !fault.Is(err, fault.Conflict) {
		return made.ID, err
	}
	if made, err = w.s.roles.ByName(w.ctx, name); err != nil {
		return "", err
	}
	return made.ID, nil
}

func (w *sower) user(name, password string) (string, error) {
	u := identity.User{Name: name, DomainID: identity.DefaultDomainID, Enabled: true}
	made, err := w.s.users.Create(w.ctx, u, &password)
	if fault.Is(err, fault.Conflict) {
		made, err = w.s.users.ByName(w.ctx, identity.DefaultDomainID, name)
	}
	if err != nil {
		return "", err
	}
	return made.ID, nil
}

func (w *sower) assign(user, where, role string) {
	w.once("assignment:"+user+":"+where+":"+role, func() (string, error) {
		a := identity.Assignment{UserID: w.done["user:"+user], RoleID: w.done["role:"+role], System: where == "system"}
		if !a.System {
			a.ProjectID = w.done[where]
		}
		return "", w.s.assignments.Assign(w.ctx, a)
	})
}

// offer makes the region, the services and three endpoints of each.
func (w *sower) offer(seed Seeds) {
	if seed.Region == "" {
		seed.Region = "RegionOne"
	}
	w.once("region:"+seed.Region, func() (string, error) {
		_, err := w.s.catalog.CreateRegion(w.ctx, identity.Region{ID: seed.Region})
		return seed.Region, unlessThere(err)
	})
	for _, e := range seed.Catalog {
		key := e.Type + ":" + e.Name
		w.once("service:"+key, func() (string, error) {
			return w.service(e)
		})
		for _, face := range []string{"public", "internal", "admin"} {
			url := e.URL
			if face == "admin" && e.AdminURL != "" {
				url = e.AdminURL
			}
			w.once("endpoint:"+key+":"+face, func() (string, error) {
				return w.endpoint(identity.Endpoint{ServiceID: w.done["service:"+key], RegionID: seed.Region, Interface: face, URL: url, Enabled: true})
			})
		}
	}
}

// service finds what an interrupted start has made, or makes it: nothing else
// keeps a service from being there twice.
func (w *sower) service(e identity.CatalogEntry) (string, error) {
	have, err := w.s.catalog.Services(w.ctx, listing.Query{Limit: 1}.And("type", listing.Eq, e.Type).And("name", listing.Eq, e.Name))
	if err != nil || len(have) > 0 {
		return first(have, func(s *identity.Service) string { return s.ID }), err
	}
	made, err := w.s.catalog.CreateService(w.ctx, identity.Service{Type: e.Type, Name: e.Name, Enabled: true})
	return made.ID, err
}

func (w *sower) endpoint(e identity.Endpoint) (string, error) {
	have, err := w.s.catalog.Endpoints(w.ctx, listing.Query{Limit: 1}.And("service_id", listing.Eq, e.ServiceID).And("interface", listing.Eq, e.Interface))
	if err != nil || len(have) > 0 {
		return first(have, func(e *identity.Endpoint) string { return e.ID }), err
	}
	made, err := w.s.catalog.CreateEndpoint(w.ctx, e)
	return made.ID, err
}

func first[T any](list []*T, id func(*T) string) string {
	if len(list) == 0 {
		return ""
	}
	return id(list[0])
}
