package domains

import (
	"context"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are upstream's rules for domains.
func Rules() []policy.Rule {
	return []policy.Rule{
		wire.Rule("get_domain", wire.AdminOrSystemReader+" or token.domain.id:%(target.domain.id)s or token.project.domain.id:%(target.domain.id)s",
			wire.AllScopes, "Show a domain."),
		wire.Rule("list_domains", wire.AdminOrSystemReader+" or (role:reader and domain_id:%(target.domain.id)s)", wire.AllScopes, "List domains."),
		wire.Rule("get_security_compliance_domain_config", "", wire.AllScopes, "Show the rules for passwords."),
		wire.Rule("create_domain", wire.AdminRequired, wire.SystemProject, "Create a domain."),
		wire.Rule("update_domain", wire.AdminRequired, wire.SystemProject, "Update a domain."),
		wire.Rule("delete_domain", wire.AdminRequired, wire.SystemProject, "Delete a domain."),
	}
}

// Rows keeps projects that act as domains. Update takes a nil name,
// description, enabled or immutable flag for what stays.
type Rows interface {
	Get(ctx context.Context, id string) (*identity.Project, error)
	List(ctx context.Context, q listing.Query) ([]*identity.Project, error)
	Create(ctx context.Context, p identity.Project) (*identity.Project, error)
	UpdateDomain(ctx context.Context, id string, c identity.DomainChange) (*identity.Project, error)
	Delete(ctx context.Context, id string) error
}

// API answers for domains.
type API struct {
	rows  Rows
	rules identity.Compliance
}

// New makes the API. rules are the same for all domains.
func New(rows Rows, rules identity.Compliance) *API { return &API{rows, rules} }

// Routes are the operations on domains.
func (a *API) Routes() []rest.Route {
	const one = "/v3/domains/{id}"
	return []rest.Route{
		{Method: "GET", Path: "/v3/domains", Rule: "identity:list_domains", Object: true, Handle: a.list},
		{Method: "POST", Path: "/v3/domains", Rule: "identity:create_domain", Audit: "create", Handle: a.create},
		{Method: "GET", Path: one, Rule: "identity:get_domain", Object: true, Handle: a.show},
		{Method: "PATCH", Path: one, Rule: "identity:update_domain", Object: true, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: one, Rule: "identity:delete_domain", Object: true, Audit: "delete", Handle: a.delete},
		{Method: "GET", Path: one + "/config/security_compliance", Rule: "identity:get_security_compliance_domain_config", Handle: a.passwordRules},
		{Method: "GET", Path: one + "/config/security_compliance/{option}", Rule: "identity:get_security_compliance_domain_config", Handle: a.passwordRules},
	}
}

// View is a domain as the API shows it.
func View(c *rest.Call, p *identity.Project) map[string]any {
	options := map[string]any{}
	if p.Immutable != nil {
		options["immutable"] = *p.Immutable
	}
	return wire.With(map[string]any{"id": p.ID, "name": p.Name, "description": p.Description, "enabled": p.Enabled, "tags": p.Tags,
		"options": options, "links": wire.Self(c, "/domains/"+p.ID)}, p.Extra)
}

// Domain loads a domain; NotFound, also for a project that is none.
func (a *API) Domain(ctx context.Context, id string) (*identity.Project, error) {
	p, err := a.rows.Get(ctx, id)
	if fault.Is(err, fault.NotFound) || (err == nil && !p.IsDomain) {
		return nil, fault.NotFoundf("Could not find domain: %s.", id)
	}
	return p, err
}

func (a *API) find(c *rest.Call) (*identity.Project, error) {
	load := func() (*identity.Project, error) { return a.Domain(c.Context(), c.Var("id")) }
	target := func(p *identity.Project) policy.Target { return policy.Target{"target.domain.id": p.ID} }
	return wire.Find(c, load, target)
}

func (a *API) list(c *rest.Call) (rest.Reply, error) {
	target := policy.Target{}
	more := []listing.Term{{Column: "is_domain", Op: listing.Eq, Values: []any{true}}}
	if c.Auth.DomainID != "" {
		target["target.domain.id"] = c.Auth.DomainID
		more = append(more, listing.Term{Column: "id", Op: listing.Eq, Values: []any{c.Auth.DomainID}})
	}
	if err := c.Authorize(target); err != nil {
		return rest.Reply{}, err
	}
	l := wire.List[identity.Project]{Many: "domains", Filters: append(wire.Text("name", "name"), wire.Flag("enabled", "enabled")),
		Load: a.rows.List, View: View, ID: func(p *identity.Project) string { return p.ID }}
	return l.Reply(c, more...)
}

func (a *API) show(c *rest.Call) (rest.Reply, error) {
	p, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"domain": View(c, p)})
}

// passwordRules shows what dashboards tell people who choose a password. Other
// configuration of domains is not built.
func (a *API) passwordRules(c *rest.Call) (rest.Reply, error) {
	if p, err := a.rows.Get(c.Context(), c.Var("id")); fault.Is(err, fault.NotFound) || (err == nil && !p.IsDomain) {
		return rest.Reply{}, fault.NotFoundf("Could not find domain: %s.", c.Var("id"))
	} else if err != nil {
		return rest.Reply{}, err
	}
	shown := map[string]any{"password_regex": nil, "password_regex_description": wire.OrNull(a.rules.PasswordRegexDescription)}
	if re := a.rules.PasswordRegex; re != nil {
		shown["password_regex"] = re.String()
	}
	option := c.Var("option")
	if option == "" {
		return rest.OK(map[string]any{"config": map[string]any{"security_compliance": shown}})
	}
	value, ok := shown[option]
	if !ok {
		return rest.Reply{}, fault.Forbiddenf("Invalid domain specific configuration: Reading security compliance values other than password_regex and password_regex_description is not allowed..")
	}
	return rest.OK(map[string]any{"config": map[string]any{option: value}})
}

type input struct {
	ExplicitID  string           `json:"explicit_domain_id" v:"max=64"`
	Name        string           `json:"name" v:"min=1,max=64,match=\\S"`
	Description rest.Opt[string] `json:"description"`
	Enabled     *bool            `json:"enabled"`
	Tags        []string         `json:"tags" v:"max=80"`
	Options     *struct {
		Immutable *bool `json:"immutable" v:"null"`
	} `json:"options"`
}

func (a *API) create(c *rest.Call) (rest.Reply, error) {
	var in input
	extra, err := wire.Body(c, "domain", &in)
	if err != nil {
		return rest.Reply{}, err
	}
	if in.Name == "" {
		return rest.Reply{}, fault.Invalidf("'name' is a required property")
	}
	if in.ExplicitID != "" && (!id.Valid(in.ExplicitID) || len(in.ExplicitID) != 32) {
		return rest.Reply{}, fault.Invalidf("Domain ID does not conform to required UUID format.")
	}
	p := identity.Project{ID: in.ExplicitID, Name: in.Name, Description: in.Description.V, Enabled: true, IsDomain: true, Tags: in.Tags, Extra: extra}
	if in.Enabled != nil {
		p.Enabled = *in.Enabled
	}
	if in.Options != nil {
		p.Immutable = in.Options.Immutable
	}
	made, err := a.rows.Create(c.Context(), p)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Created(map[string]any{"domain": View(c, made)})
}

func (a *API) update(c *rest.Call) (rest.Reply, error) {
	p, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in input
	extra, err := wire.Body(c, "domain", &in)
	if err != nil {
		return rest.Reply{}, err
	}
	change := identity.DomainChange{Enabled: in.Enabled, Extra: extra}
	if in.Name != "" {
		change.Name = &in.Name
	}
	if in.Description.Set {
		change.Description = &in.Description.V
	}
	if in.Options != nil {
		change.SetImmutable, change.Immutable = true, in.Options.Immutable
	}
	made, err := a.rows.UpdateDomain(c.Context(), p.ID, change)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"domain": View(c, made)})
}

func (a *API) delete(c *rest.Call) (rest.Reply, error) {
	p, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.rows.Delete(c.Context(), p.ID); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}
