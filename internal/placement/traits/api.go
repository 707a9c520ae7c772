// Package traits is the API of traits, and of those that providers have.
package traits

import (
	"slices"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/placement"
	"github.com/mekcloud/mek/internal/placement/records"
	"github.com/mekcloud/mek/internal/placement/search"
	"github.com/mekcloud/mek/internal/placement/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Feature serves traits.
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
		{Name: "placement:traits:list", Check: check, Scopes: scope, Description: "List traits."},
		{Name: "placement:traits:show", Check: check, Scopes: scope, Description: "Show a trait."},
		{Name: "placement:traits:update", Check: check, Scopes: scope, Description: "Create a custom trait."},
		{Name: "placement:traits:delete", Check: check, Scopes: scope, Description: "Delete a custom trait."},
		{Name: "placement:resource_providers:traits:list", Check: check, Scopes: scope, Description: "List traits of a provider."},
		{Name: "placement:resource_providers:traits:update", Check: check, Scopes: scope, Description: "Update traits of a provider."},
		{Name: "placement:resource_providers:traits:delete", Check: check, Scopes: scope, Description: "Delete all traits of a provider."},
	}
}

// Routes are the feature's routes.
func (f *Feature) Routes() []rest.Route {
	const one, of = "/traits/{name}", "/resource_providers/{uuid}/traits"
	return []rest.Route{
		{Method: "GET", Path: "/traits", Rule: "placement:traits:list", Since: wire.Traits, Handle: f.list},
		{Method: "GET", Path: one, Rule: "placement:traits:show", Since: wire.Traits, Handle: f.show},
		{Method: "PUT", Path: one, Rule: "placement:traits:update", Audit: "create", Since: wire.Traits, Handle: f.put},
		{Method: "DELETE", Path: one, Rule: "placement:traits:delete", Audit: "delete", Since: wire.Traits, Handle: f.delete},
		{Method: "GET", Path: of, Rule: "placement:resource_providers:traits:list", Since: wire.Traits, Handle: f.ofProvider},
		{Method: "PUT", Path: of, Rule: "placement:resource_providers:traits:update", Audit: "update", Since: wire.Traits, Handle: f.setOfProvider},
		{Method: "DELETE", Path: of, Rule: "placement:resource_providers:traits:delete", Audit: "delete", Since: wire.Traits, Handle: f.clearOfProvider},
	}
}

func (f *Feature) reply(c *rest.Call, status int, body any, at time.Time) rest.Reply {
	return rest.Reply{Status: status, Body: body, Header: wire.Fresh(c.Version, at, f.clock.Now())}
}

func (f *Feature) list(c *rest.Call) (rest.Reply, error) {
	if err := wire.Accepts(c.Header); err != nil {
		return rest.Reply{}, err
	}
	keep, err := f.filter(c)
	if err != nil {
		return rest.Reply{}, err
	}
	all, err := f.store.Traits(c.Context())
	if err != nil {
		return rest.Reply{}, err
	}
	names, latest := []string{}, time.Time{}
	for _, t := range all {
		if keep(t.Name) {
			names = append(names, t.Name)
			if t.CreatedAt.After(latest) {
				latest = t.CreatedAt
			}
		}
	}
	return f.reply(c, 200, map[string]any{"traits": names}, latest), nil
}

// filter reads name=in:A,B, name=startswith:X and associated=true.
func (f *Feature) filter(c *rest.Call) (func(name string) bool, error) {
	q := c.Values()
	if err := wire.Known(q, wire.OneOf("name", "associated")); err != nil {
		return nil, err
	}
	named := func(string) bool { return true }
	if text, ok := wire.Last(q, "name"); ok {
		op, value, ok := strings.Cut(text, ":")
		if !ok {
			return nil, fault.Invalidf("Badly formatted name parameter. Expected name query string parameter in form: ?name=[in|startswith]:[name1,name2|prefix]. Got: \"%s\"", text)
		}
		switch op {
		case "in":
			list := strings.Split(value, ",")
			named = func(name string) bool { return slices.Contains(list, name) }
		case "startswith":
			named = func(name string) bool { return strings.HasPrefix(name, value) }
		}
	}
	text, ok := wire.Last(q, "associated")
	if !ok {
		return named, nil
	}
	want := strings.EqualFold(text, "true")
	if !want && !strings.EqualFold(text, "false") {
		return nil, fault.Invalidf("The query parameter \"associated\" only accepts \"true\" or \"false\"")
	}
	used := map[string]bool{}
	err := f.store.View(c.Context(), func(x *search.Index) error {
		for _, e := range x.List(search.Filter{}) {
			for _, t := range e.Traits {
				used[t] = true
			}
		}
		return nil
	})
	return func(name string) bool { return named(name) && used[name] == want }, err
}

func (f *Feature) show(c *rest.Call) (rest.Reply, error) {
	t, err := f.store.Trait(c.Context(), c.Var("name"))
	if err != nil {
		return rest.Reply{}, err
	}
	return f.reply(c, 204, nil, t.CreatedAt), nil
}

func (f *Feature) put(c *rest.Call) (rest.Reply, error) {
	name := c.Var("name")
	if len(name) > 255 || !wire.CustomForm.MatchString(name) {
		return rest.Reply{}, fault.Invalidf("The trait is invalid. A valid trait must be no longer than 255 characters, start with the prefix \"CUSTOM_\" and use following characters: \"A\"-\"Z\", \"0\"-\"9\" and \"_\"")
	}
	created, err := f.store.EnsureTrait(c.Context(), name)
	if err != nil {
		return rest.Reply{}, err
	}
	t, err := f.store.Trait(c.Context(), name)
	if err != nil {
		return rest.Reply{}, err
	}
	status := 204
	if created {
		status = 201
	}
	return f.reply(c, status, nil, t.CreatedAt).With("Location", c.Link("/traits/"+name)), nil
}

func (f *Feature) delete(c *rest.Call) (rest.Reply, error) {
	if err := f.store.DeleteTrait(c.Context(), c.Var("name")); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

func (f *Feature) ofProvider(c *rest.Call) (rest.Reply, error) {
	if err := wire.Accepts(c.Header); err != nil {
		return rest.Reply{}, err
	}
	e, err := f.store.Provider(c.Context(), c.Var("uuid"))
	if err != nil {
		return rest.Reply{}, err
	}
	return f.traitsReply(c, e.Traits, e.Generation), nil
}

func (f *Feature) traitsReply(c *rest.Call, names []string, generation int64) rest.Reply {
	if names == nil {
		names = []string{}
	}
	return f.reply(c, 200, map[string]any{"traits": names, "resource_provider_generation": generation}, time.Time{})
}

func (f *Feature) setOfProvider(c *rest.Call) (rest.Reply, error) {
	if err := wire.Sends(c.Request); err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Traits     []string `json:"traits" v:"required"`
		Generation int64    `json:"resource_provider_generation" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, wire.BadBody(err)
	}
	for _, t := range in.Traits {
		if t == "" || len(t) > 255 {
			return rest.Reply{}, wire.BadField("'%s' is too short or too long", t)
		}
	}
	e, err := f.store.Provider(c.Context(), c.Var("uuid"))
	if err != nil {
		return rest.Reply{}, err
	}
	names := slices.Compact(slices.Sorted(slices.Values(in.Traits)))
	next, err := f.store.SetTraits(c.Context(), e.UUID, &in.Generation, names)
	if wire.Whose(err, fault.Invalid, wire.CodeNoTrait) {
		return rest.Reply{}, f.missing(c, names)
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return f.traitsReply(c, names, next), nil
}

// missing words which of some traits do not exist.
func (f *Feature) missing(c *rest.Call, names []string) error {
	var out []string
	for _, n := range names {
		if _, err := f.store.Trait(c.Context(), n); fault.Is(err, fault.NotFound) {
			out = append(out, n)
		}
	}
	return fault.Invalidf("No such trait %s", strings.Join(out, ", ")).With(placement.CodeUndefined)
}

func (f *Feature) clearOfProvider(c *rest.Call) (rest.Reply, error) {
	if _, err := f.store.SetTraits(c.Context(), c.Var("uuid"), nil, nil); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}
