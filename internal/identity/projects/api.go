package projects

import (
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	readCheck = "(rule:admin_required) or " + wire.SystemReader +
		" or (role:reader and domain_id:%(target.project.domain_id)s and not None:%(target.project.domain_id)s) or project_id:%(target.project.id)s"
	writeCheck = "(rule:admin_required) or (role:manager and domain_id:%(target.project.domain_id)s and not None:%(target.project.domain_id)s)"
)

// Rules are upstream's rules for projects.
func Rules() []policy.Rule {
	return []policy.Rule{
		wire.Rule("get_project", readCheck, wire.AllScopes, "Show a project."),
		wire.Rule("list_projects", "(rule:admin_required) or "+wire.SystemReader+" or (role:reader and domain_id:%(target.domain_id)s)", wire.AllScopes, "List projects."),
		wire.Rule("create_project", writeCheck, wire.AllScopes, "Create a project."),
		wire.Rule("update_project", writeCheck, wire.AllScopes, "Update a project."),
		wire.Rule("delete_project", writeCheck, wire.AllScopes, "Delete a project."),
		wire.Rule("list_project_tags", readCheck, wire.AllScopes, "List the tags of a project."),
		wire.Rule("get_project_tag", readCheck, wire.AllScopes, "Check a tag of a project."),
		wire.Rule("update_project_tags", writeCheck, wire.AllScopes, "Replace the tags of a project."),
		wire.Rule("create_project_tag", writeCheck, wire.AllScopes, "Add a tag to a project."),
		wire.Rule("delete_project_tags", writeCheck, wire.AllScopes, "Remove all tags of a project."),
		wire.Rule("delete_project_tag", writeCheck, wire.AllScopes, "Remove a tag of a project."),
	}
}

type api struct{ s *Service }

// Routes are the operations on projects.
func (s *Service) Routes() []rest.Route {
	a := &api{s}
	const one, tags = "/v3/projects/{id}", "/v3/projects/{id}/tags"
	return []rest.Route{
		{Method: "GET", Path: "/v3/projects", Rule: "identity:list_projects", Object: true, Handle: a.list},
		{Method: "POST", Path: "/v3/projects", Rule: "identity:create_project", Object: true, Audit: "create", Handle: a.create},
		{Method: "GET", Path: one, Rule: "identity:get_project", Object: true, Handle: a.show},
		{Method: "PATCH", Path: one, Rule: "identity:update_project", Object: true, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: one, Rule: "identity:delete_project", Object: true, Audit: "delete", Handle: a.delete},
		{Method: "GET", Path: tags, Rule: "identity:list_project_tags", Object: true, Handle: a.tags},
		{Method: "PUT", Path: tags, Rule: "identity:update_project_tags", Object: true, Audit: "update", Handle: a.setTags},
		{Method: "DELETE", Path: tags, Rule: "identity:delete_project_tags", Object: true, Audit: "update", Handle: a.clearTags},
		{Method: "GET", Path: tags + "/{tag}", Rule: "identity:get_project_tag", Object: true, Handle: a.tag},
		{Method: "PUT", Path: tags + "/{tag}", Rule: "identity:create_project_tag", Object: true, Audit: "update", Handle: a.addTag},
		{Method: "DELETE", Path: tags + "/{tag}", Rule: "identity:delete_project_tag", Object: true, Audit: "update", Handle: a.removeTag},
	}
}

func (a *api) find(c *rest.Call) (*identity.Project, error) {
	return wire.Find(c, func() (*identity.Project, error) { return a.s.Get(c.Context(), c.Var("id")) }, target)
}

func (a *api) list(c *rest.Call) (rest.Reply, error) {
	if err := c.Authorize(policy.Target{"target.domain_id": orNil(c.Auth.DomainID)}); err != nil {
		return rest.Reply{}, err
	}
	var more []listing.Term
	if _, ok := c.Values()["is_domain"]; !ok {
		more = append(more, listing.Term{Column: "is_domain", Op: listing.Eq, Values: []any{false}})
	}
	if c.Auth.DomainID != "" {
		more = append(more, listing.Term{Column: "domain_id", Op: listing.Eq, Values: []any{c.Auth.DomainID}})
	}
	return a.index().Reply(c, more...)
}

func (a *api) show(c *rest.Call) (rest.Reply, error) {
	p, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	view := View(c, p)
	if err := a.relatives(c, p, view); err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"project": view})
}

type input struct {
	Name        string           `json:"name" v:"min=1,max=64,match=\\S"`
	DomainID    rest.Opt[string] `json:"domain_id" v:"max=64"`
	ParentID    rest.Opt[string] `json:"parent_id" v:"max=64"`
	Description rest.Opt[string] `json:"description"`
	Enabled     *bool            `json:"enabled"`
	IsDomain    *bool            `json:"is_domain"`
	Tags        *[]string        `json:"tags" v:"max=80"`
	Options     *Options         `json:"options"`
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	var in input
	extra, err := wire.Body(c, "project", &in)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := c.Authorize(policy.Target{"target.project.domain_id": orNil(in.DomainID.V)}); err != nil {
		return rest.Reply{}, err
	}
	if in.Name == "" {
		return rest.Reply{}, fault.Invalidf("'name' is a required property")
	}
	p := identity.Project{Name: in.Name, DomainID: in.DomainID.V, ParentID: in.ParentID.V, Description: in.Description.V, Enabled: true, Extra: extra}
	if in.Enabled != nil {
		p.Enabled = *in.Enabled
	}
	if in.IsDomain != nil {
		p.IsDomain = *in.IsDomain
	}
	if in.Options != nil {
		p.Immutable = in.Options.Immutable
	}
	if in.Tags != nil {
		if p.Tags = *in.Tags; !validTags(p.Tags) {
			return rest.Reply{}, badTag()
		}
	}
	if p.DomainID == "" && p.ParentID != "" { // the parent says which domain
		if parent, err := a.s.Get(c.Context(), p.ParentID); err == nil {
			if p.DomainID = parent.DomainID; parent.IsDomain {
				p.DomainID = parent.ID
			}
		}
	}
	if !p.IsDomain {
		p.DomainID = wire.DomainOf(c, p.DomainID)
	}
	made, err := a.s.Create(c.Context(), p)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Created(map[string]any{"project": View(c, made)})
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	p, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in input
	extra, err := wire.Body(c, "project", &in)
	if err != nil {
		return rest.Reply{}, err
	}
	switch {
	case in.ParentID.Set && in.ParentID.V != p.ParentID:
		return rest.Reply{}, fault.Forbiddenf("Update of `parent_id` is not allowed.")
	case in.IsDomain != nil && *in.IsDomain != p.IsDomain:
		return rest.Reply{}, fault.Invalidf("Update of `is_domain` is not allowed.")
	case in.DomainID.Set && in.DomainID.V != p.DomainID:
		return rest.Reply{}, fault.Invalidf("Update of `domain_id` is not allowed.")
	case in.Tags != nil && !validTags(*in.Tags):
		return rest.Reply{}, badTag()
	}
	change := Change{Enabled: in.Enabled, Options: in.Options, Tags: in.Tags, Extra: extra}
	if in.Name != "" {
		change.Name = &in.Name
	}
	if in.Description.Set {
		change.Description = &in.Description.V
	}
	made, err := a.s.Update(c.Context(), p.ID, change)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"project": View(c, made)})
}

func (a *api) delete(c *rest.Call) (rest.Reply, error) {
	p, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.Delete(c.Context(), p.ID); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

func (a *api) tags(c *rest.Call) (rest.Reply, error) {
	p, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(tagsView(c, p.Tags))
}

func tagsView(c *rest.Call, tags []string) map[string]any {
	return map[string]any{"tags": tags, "links": wire.Collection(c, "", nil)["links"]}
}

func (a *api) setTags(c *rest.Call) (rest.Reply, error) {
	p, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Tags []string `json:"tags" v:"required,max=80"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if !validTags(in.Tags) {
		return rest.Reply{}, badTag()
	}
	made, err := a.s.Update(c.Context(), p.ID, Change{Tags: &in.Tags})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(tagsView(c, made.Tags))
}

func (a *api) clearTags(c *rest.Call) (rest.Reply, error) {
	p, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if _, err := a.s.Update(c.Context(), p.ID, Change{Tags: &[]string{}}); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

func (a *api) tag(c *rest.Call) (rest.Reply, error) {
	p, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	for _, t := range p.Tags {
		if t == c.Var("tag") {
			return rest.NoContent()
		}
	}
	return rest.Reply{}, fault.NotFoundf("Could not find project tag: %s.", c.Var("tag"))
}

func (a *api) addTag(c *rest.Call) (rest.Reply, error) {
	p, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if !validTags([]string{c.Var("tag")}) {
		return rest.Reply{}, badTag()
	}
	if err := a.s.Tag(c.Context(), p.ID, c.Var("tag")); err != nil {
		return rest.Reply{}, err
	}
	return rest.Reply{Status: 201}.With("Location", c.Link("/v3/projects/"+p.ID+"/tags/"+c.Var("tag"))), nil
}

func (a *api) removeTag(c *rest.Call) (rest.Reply, error) {
	p, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.Untag(c.Context(), p.ID, c.Var("tag")); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}
