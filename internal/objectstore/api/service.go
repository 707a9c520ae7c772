package objectstoreapi

import (
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/access"
	"github.com/mekcloud/mek/internal/objectstore/accounts"
	"github.com/mekcloud/mek/internal/objectstore/containers"
	"github.com/mekcloud/mek/internal/objectstore/copies"
	"github.com/mekcloud/mek/internal/objectstore/largeobjects"
	"github.com/mekcloud/mek/internal/objectstore/objects"
	"github.com/mekcloud/mek/internal/objectstore/swift"
	"github.com/mekcloud/mek/internal/objectstore/symlinks"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Deps is what the API stands on.
type Deps struct {
	Store    objectstore.Store
	Reader   objectstore.Reader
	Clock    clock.Clock
	Access   access.Settings
	AdminKey string // signs requests for the admin section of /info; empty: there is none
	// Front sees requests before anything else: signed addresses, forms, static
	// sites, bulk operations. Middle stands behind copies, before large objects:
	// quotas, older kinds of versions.
	Front, Middle []Extension
}

// Extension is a feature with a package of its own.
type Extension struct {
	Filter swift.Filter              // may be nil
	Routes []rest.Route              // addresses outside of /v1
	Rules  []policy.Rule             // of Routes
	Info   map[string]map[string]any // sections of /info
}

// Service is the Swift API.
type Service struct {
	deps Deps
	run  swift.Handler
	auth *authorizer
	info *info
}

// New assembles the API.
func New(d Deps) *Service {
	s := &Service{deps: d, auth: &authorizer{store: d.Store, settings: d.Access}, info: newInfo(d)}
	large := largeobjects.New(d.Store, d.Reader, objects.Guess)
	filters := append(filtersOf(d.Front), copies.New(d.Store, d.Reader).Filter)
	filters = append(filters, filtersOf(d.Middle)...)
	filters = append(filters, large.Filter, symlinks.New(d.Store).Filter)
	s.run = swift.Chain(s.core(), filters...)
	return s
}

func filtersOf(list []Extension) []swift.Filter {
	var out []swift.Filter
	for _, e := range list {
		if e.Filter != nil {
			out = append(out, e.Filter)
		}
	}
	return out
}

// core answers what no filter has answered.
func (s *Service) core() swift.Handler {
	a, c := accounts.New(s.deps.Store), containers.New(s.deps.Store)
	o := objects.New(s.deps.Store, s.deps.Reader)
	return func(r *swift.Request) (swift.Reply, error) {
		switch {
		case r.Object != "":
			return o.Handle(r)
		case r.Container != "":
			return c.Handle(r)
		}
		return a.Handle(r)
	}
}

// REST is the service for the front door.
func (s *Service) REST() *rest.Service {
	service := &rest.Service{Name: "swift", Type: "object-store", Dialect: dialect(), Rules: rules(), Routes: s.routes()}
	for _, e := range append(s.deps.Front, s.deps.Middle...) {
		service.Routes = append(service.Routes, e.Routes...)
		service.Rules = append(service.Rules, e.Rules...)
	}
	return service
}
