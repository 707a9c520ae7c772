// Package placementapi assembles the Placement service: its features, rules,
// error bodies and version document.
package placementapi

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/microversion"
	"github.com/mekcloud/mek/internal/placement"
	"github.com/mekcloud/mek/internal/placement/aggregates"
	"github.com/mekcloud/mek/internal/placement/allocations"
	"github.com/mekcloud/mek/internal/placement/candidates"
	"github.com/mekcloud/mek/internal/placement/classes"
	"github.com/mekcloud/mek/internal/placement/inventories"
	"github.com/mekcloud/mek/internal/placement/providers"
	"github.com/mekcloud/mek/internal/placement/records"
	"github.com/mekcloud/mek/internal/placement/traits"
	"github.com/mekcloud/mek/internal/placement/usages"
	"github.com/mekcloud/mek/internal/placement/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Service is Placement, ready to be mounted and to be asked by other services.
type Service struct {
	store *records.Store
	clock clock.Clock
}

// New makes the service on a database.
func New(d *db.DB, c clock.Clock) *Service { return &Service{records.New(d, c), c} }

// Allocator is what other services use.
func (s *Service) Allocator() placement.Allocator { return s.store }

// Checks are the conservation queries of Placement.
func (s *Service) Checks() []check.Check { return s.store.Checks() }

// Held lists what every consumer has, for checks across services.
func (s *Service) Held(ctx context.Context, l *check.Look) (map[string]records.Holder, error) {
	return s.store.Held(ctx, l)
}

// REST is the service's API.
func (s *Service) REST() *rest.Service {
	return &rest.Service{Name: "placement", Type: "placement", Prefix: "/placement", Dialect: dialect(), Rules: rules(), Routes: s.routes()}
}

func rules() []policy.Rule {
	return slices.Concat(baseRules(), providers.Rules(), inventories.Rules(), aggregates.Rules(), traits.Rules(), classes.Rules(), allocations.Rules(), candidates.Rules(), usages.Rules())
}

// baseRules are shared rules with what they meant to Placement before it had
// other roles than admin.
func baseRules() []policy.Rule {
	const before = "role:admin"
	scope := []string{policy.ScopeProject}
	return []policy.Rule{
		{Name: "admin_api", Check: "role:admin", Scopes: scope, Description: "Administrators."},
		{Name: "service_api", Check: "role:service", Scopes: scope, Deprecated: before, Description: "Other services."},
		{Name: "admin_or_service_api", Check: "role:admin or role:service", Scopes: scope, Deprecated: before, Description: "Administrators and other services."},
		{Name: "project_reader_api", Check: "role:reader and project_id:%(project_id)s", Deprecated: before, Description: "Readers of the project."},
		{Name: "admin_or_project_reader_or_service_api", Check: "role:admin or rule:project_reader_api or role:service", Scopes: scope, Deprecated: before, Description: "Administrators, other services and readers of the project."},
	}
}

func (s *Service) routes() []rest.Route {
	return slices.Concat([]rest.Route{{Method: "GET", Path: "/", Open: true, Handle: s.root}},
		providers.New(s.store, s.clock).Routes(), inventories.New(s.store, s.clock).Routes(), aggregates.New(s.store, s.clock).Routes(),
		traits.New(s.store, s.clock).Routes(), classes.New(s.store, s.clock).Routes(), allocations.New(s.store, s.clock).Routes(),
		candidates.New(s.store, s.clock).Routes(), usages.New(s.store, s.clock).Routes())
}

func dialect() rest.Dialect {
	return rest.Dialect{Versions: &rest.Versions{Min: wire.Min, Max: wire.Max, Types: []string{"placement"}}, Error: failure}
}

// failure renders a fault. Requests that fail before their version is known are
// answered at the version they ask for all the same.
func failure(c *rest.Call, status int, f *fault.Fault) rest.Reply {
	told, version := *f, c.Version
	reply := rest.Reply{Status: status}
	if version == 0 {
		var err error
		if version, err = wire.Asked(c.Header); err != nil {
			told = *fault.As(err)
			reply.Status = map[fault.Kind]int{fault.NotAcceptable: http.StatusNotAcceptable, fault.Invalid: http.StatusBadRequest}[told.Kind]
		} else {
			reply = reply.With("OpenStack-API-Version", "placement "+version.String())
		}
	}
	if told.Code == wire.CodeNoMethod {
		reply.Status = http.StatusMethodNotAllowed
		told.Text = "The method " + c.Method + " is not allowed for this resource."
		if methods := c.Methods(); len(methods) > 0 {
			reply = reply.With("Allow", strings.Join(methods, ", "))
		}
	}
	if wire.WantsPage(c.Header) {
		reply.Body = wire.ErrorPage(reply.Status, &told)
		return reply.With("Content-Type", "text/html; charset=UTF-8")
	}
	reply.Body = wire.ErrorBody(version, reply.Status, &told, c.RequestID)
	return reply
}

// root is the version document.
func (s *Service) root(c *rest.Call) (rest.Reply, error) {
	version := map[string]any{"id": "v" + microversion.Version(wire.Min).String(), "min_version": microversion.Version(wire.Min).String(),
		"max_version": microversion.Version(wire.Max).String(), "status": "CURRENT", "links": []any{map[string]string{"rel": "self", "href": ""}}}
	return rest.Reply{Body: map[string]any{"versions": []any{version}}, Header: wire.Fresh(c.Version, time.Time{}, s.clock.Now())}, nil
}
