package projects

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// View is a project as the API shows it.
func View(c *rest.Call, p *identity.Project) map[string]any {
	return wire.With(map[string]any{
		"id": p.ID, "name": p.Name, "domain_id": wire.OrNull(p.DomainID), "parent_id": wire.OrNull(p.ParentID),
		"description": p.Description, "enabled": p.Enabled, "is_domain": p.IsDomain, "tags": p.Tags,
		"options": OptionsView(p), "links": wire.Self(c, "/projects/"+p.ID),
	}, p.Extra)
}

// OptionsView shows the resource options that were set.
func OptionsView(p *identity.Project) map[string]any {
	if p.Immutable == nil {
		return map[string]any{}
	}
	return map[string]any{"immutable": *p.Immutable}
}

func target(p *identity.Project) policy.Target {
	return policy.Target{"target.project.id": p.ID, "target.project.domain_id": orNil(p.DomainID)}
}

func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (a *api) index() wire.List[identity.Project] {
	filters := wire.Text("name", "name")
	filters = append(filters, wire.Text("domain_id", "domain_id")[0], wire.Text("parent_id", "parent_id")[0],
		wire.Flag("enabled", "enabled"), wire.Flag("is_domain", "is_domain"),
		a.tagFilter("tags", true, listing.In), a.tagFilter("tags-any", false, listing.In),
		a.tagFilter("not-tags", true, listing.NotIn), a.tagFilter("not-tags-any", false, listing.NotIn))
	return wire.List[identity.Project]{Many: "projects", Filters: filters, Load: a.s.List, View: View,
		ID: func(p *identity.Project) string { return p.ID }}
}

func (a *api) tagFilter(name string, all bool, op listing.Op) rest.Filter {
	return rest.Filter{Name: name, Terms: func(c *rest.Call, values []string) ([]listing.Term, error) {
		ids, err := a.s.Tagged(c.Context(), strings.Split(values[len(values)-1], ","), all)
		return []listing.Term{{Column: "id", Op: op, Values: ids}}, err
	}}
}

// relatives adds what parents_as_list and its kin ask for. Lists hold only
// projects on which the caller has a role.
func (a *api) relatives(c *rest.Call, p *identity.Project, view map[string]any) error {
	for _, kind := range []struct {
		word string
		load func(context.Context, string) ([]*identity.Project, error)
	}{{"parents", a.s.Above}, {"subtree", a.s.Below}} {
		asList, asIDs := asked(c, kind.word+"_as_list"), asked(c, kind.word+"_as_ids")
		if asList && asIDs {
			return fault.Invalidf("Cannot use %s_as_list and %s_as_ids query params at the same time.", kind.word, kind.word)
		}
		if !asList && !asIDs {
			continue
		}
		list, err := kind.load(c.Context(), p.ID)
		if err != nil {
			return err
		}
		if asIDs {
			view[kind.word] = nested(kind.word, p, list)
			continue
		}
		items := []map[string]any{}
		for _, other := range list {
			ok, err := a.s.roles.Has(c.Context(), c.Auth.UserID, identity.Scope{ProjectID: other.ID})
			if err != nil {
				return err
			}
			if ok {
				items = append(items, map[string]any{"project": View(c, other)})
			}
		}
		view[kind.word] = items
	}
	return nil
}

func asked(c *rest.Call, name string) bool {
	values, ok := c.Values()[name]
	return ok && wire.Truth(values[0])
}

// nested shows relatives as upstream does: parents as a chain of objects with
// one member, a subtree as objects of objects, null where it ends.
func nested(word string, p *identity.Project, list []*identity.Project) any {
	if word == "parents" {
		var chain any
		for i := len(list) - 1; i >= 0; i-- {
			chain = map[string]any{list[i].ID: chain}
		}
		return chain
	}
	return children(p.ID, list)
}

func children(id string, list []*identity.Project) any {
	out := map[string]any{}
	for _, p := range list {
		if p.ParentID == id {
			out[p.ID] = children(p.ID, list)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func validTags(tags []string) bool {
	for _, t := range tags {
		if t == "" || utf8.RuneCountInString(t) > 255 || strings.ContainsAny(t, ",/") {
			return false
		}
	}
	return true
}

func badTag() error {
	return fault.Invalidf("Invalid input for field 'tags': a tag has 1 to 255 characters without comma and slash.")
}
