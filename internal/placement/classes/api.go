// Package classes is the API of resource classes.
package classes

import (
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/placement/records"
	"github.com/mekcloud/mek/internal/placement/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Feature serves resource classes.
type Feature struct {
	store *records.Store
	clock clock.Clock
}

// New makes the feature.
func New(s *records.Store, c clock.Clock) *Feature { return &Feature{s, c} }

// Rules are the policy rules of the routes.
func Rules() []policy.Rule {
	const check = policy.AdminOrService
	scope := []string{policy.ScopeProject}
	return []policy.Rule{
		{Name: "placement:resource_classes:list", Check: check, Scopes: scope, Description: "List resource classes."},
		{Name: "placement:resource_classes:create", Check: check, Scopes: scope, Description: "Create a custom resource class."},
		{Name: "placement:resource_classes:show", Check: check, Scopes: scope, Description: "Show a resource class."},
		{Name: "placement:resource_classes:update", Check: check, Scopes: scope, Description: "Create or rename a custom resource class."},
		{Name: "placement:resource_classes:delete", Check: check, Scopes: scope, Description: "Delete a custom resource class."},
	}
}

// Routes are the feature's routes.
func (f *Feature) Routes() []rest.Route {
	const all, one, rule = "/resource_classes", "/resource_classes/{name}", "placement:resource_classes:"
	return []rest.Route{
		{Method: "GET", Path: all, Rule: rule + "list", Since: wire.Classes, Handle: f.list},
		{Method: "POST", Path: all, Rule: rule + "create", Audit: "create", Since: wire.Classes, Handle: f.create},
		{Method: "GET", Path: one, Rule: rule + "show", Since: wire.Classes, Handle: f.show},
		{Method: "PUT", Path: one, Rule: rule + "update", Audit: "update", Since: wire.Classes, Until: wire.EnsureClass, Handle: f.rename},
		{Method: "PUT", Path: one, Rule: rule + "update", Audit: "create", Since: wire.EnsureClass, Handle: f.ensure},
		{Method: "DELETE", Path: one, Rule: rule + "delete", Audit: "delete", Since: wire.Classes, Handle: f.delete},
	}
}

func view(c *rest.Call, name string) map[string]any {
	href := strings.TrimPrefix(c.Link("/resource_classes/"+name), c.Root())
	return map[string]any{"name": name, "links": []any{map[string]string{"rel": "self", "href": href}}}
}

func (f *Feature) reply(c *rest.Call, body any, at time.Time) (rest.Reply, error) {
	return rest.Reply{Body: body, Header: wire.Fresh(c.Version, at, f.clock.Now())}, nil
}

func (f *Feature) list(c *rest.Call) (rest.Reply, error) {
	if err := wire.Accepts(c.Header); err != nil {
		return rest.Reply{}, err
	}
	all, err := f.store.Classes(c.Context())
	if err != nil {
		return rest.Reply{}, err
	}
	views := []any{}
	for _, n := range all {
		views = append(views, view(c, n.Name))
	}
	return f.reply(c, map[string]any{"resource_classes": views}, time.Time{})
}

func (f *Feature) show(c *rest.Call) (rest.Reply, error) {
	if err := wire.Accepts(c.Header); err != nil {
		return rest.Reply{}, err
	}
	n, err := f.store.Class(c.Context(), c.Var("name"))
	if err != nil {
		return rest.Reply{}, err
	}
	return f.reply(c, view(c, n.Name), n.CreatedAt)
}

// named reads {"name": …}, the name of a custom class.
func named(c *rest.Call) (string, error) {
	var in struct {
		Name string `json:"name" v:"required,max=255"`
	}
	if err := c.Decode(&in); err != nil {
		return "", wire.BadBody(err)
	}
	return in.Name, custom(in.Name)
}

func custom(name string) error {
	if len(name) > 255 {
		return wire.BadField("'%s' is too long", name)
	}
	if !wire.CustomForm.MatchString(name) {
		return wire.BadField("'%s' does not match '%s'", name, wire.CustomForm)
	}
	return nil
}

func (f *Feature) create(c *rest.Call) (rest.Reply, error) {
	if err := wire.Sends(c.Request); err != nil {
		return rest.Reply{}, err
	}
	name, err := named(c)
	if err != nil {
		return rest.Reply{}, err
	}
	created, err := f.store.EnsureClass(c.Context(), name)
	if err == nil && !created {
		err = fault.Conflictf("Conflicting resource class already exists: %s", name)
	}
	return rest.Reply{Status: 201}.With("Location", c.Link("/resource_classes/"+name)), err
}

func (f *Feature) rename(c *rest.Call) (rest.Reply, error) {
	if err := wire.Sends(c.Request); err != nil {
		return rest.Reply{}, err
	}
	name, err := named(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := f.store.RenameClass(c.Context(), c.Var("name"), name); err != nil {
		return rest.Reply{}, err
	}
	return f.reply(c, view(c, name), time.Time{})
}

func (f *Feature) ensure(c *rest.Call) (rest.Reply, error) {
	name := c.Var("name")
	if err := custom(name); err != nil {
		return rest.Reply{}, err
	}
	created, err := f.store.EnsureClass(c.Context(), name)
	status := 204
	if created {
		status = 201
	}
	return rest.Reply{Status: status}.With("Location", c.Link("/resource_classes/"+name)), err
}

func (f *Feature) delete(c *rest.Call) (rest.Reply, error) {
	if err := f.store.DeleteClass(c.Context(), c.Var("name")); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}
