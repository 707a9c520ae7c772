package domainconfig

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Rules are upstream's rules for domains' options.
func Rules() []policy.Rule {
	return []policy.Rule{
		wire.Rule("create_domain_config", wire.AdminRequired, wire.SystemProject, "Set a domain's options."),
		wire.Rule("get_domain_config", wire.AdminOrSystemReader, wire.SystemProject, "Show a domain's options."),
		wire.Rule("update_domain_config", wire.AdminRequired, wire.SystemProject, "Change a domain's options."),
		wire.Rule("delete_domain_config", wire.AdminRequired, wire.SystemProject, "Remove a domain's options."),
		wire.Rule("get_domain_config_default", wire.AdminOrSystemReader, wire.SystemProject, "Show the options of domains that set none."),
	}
}

// Domain loads a domain; NotFound, also for a project that is none.
type Domain func(ctx context.Context, id string) (*identity.Project, error)

type api struct {
	s      *Service
	domain Domain
}

// Routes are the operations on domains' options.
func (s *Service) Routes(domain Domain) []rest.Route {
	a := &api{s, domain}
	routes := []rest.Route{
		{Method: "PUT", Path: "/v3/domains/{id}/config", Rule: "identity:create_domain_config", Audit: "create", Handle: a.replace},
	}
	for _, below := range []string{"", "/{group}", "/{group}/{option}"} {
		path := "/v3/domains/{id}/config" + below
		routes = append(routes,
			rest.Route{Method: "GET", Path: path, Rule: "identity:get_domain_config", Handle: a.show},
			rest.Route{Method: "PATCH", Path: path, Rule: "identity:update_domain_config", Audit: "update", Handle: a.update},
			rest.Route{Method: "DELETE", Path: path, Rule: "identity:delete_domain_config", Audit: "delete", Handle: a.delete},
			rest.Route{Method: "GET", Path: "/v3/domains/config" + below + "/default", Rule: "identity:get_domain_config_default", Handle: a.standard})
	}
	return routes
}

// body shows options: all by group, or one by its name alone.
func body(c *rest.Call, config Config) any {
	if name := c.Var("option"); name != "" {
		return map[string]any{"config": config[c.Var("group")]}
	}
	return map[string]any{"config": config}
}

// read takes the options of a body; with an option in the path they stand
// there without their group.
func read(c *rest.Call) (Config, error) {
	var in struct {
		Config json.RawMessage `json:"config"`
	}
	if err := json.Unmarshal(c.Payload(), &in); err != nil {
		return nil, fault.Invalidf("Malformed request body: expecting a JSON object with a config")
	}
	if len(in.Config) == 0 {
		return nil, nil
	}
	var out Config
	var err error
	if c.Var("option") == "" {
		err = json.Unmarshal(in.Config, &out)
	} else {
		var members map[string]any
		err = json.Unmarshal(in.Config, &members)
		out = Config{c.Var("group"): members}
	}
	if err != nil {
		return nil, invalid("The value of each group specified in the config should be a dictionary of options")
	}
	return out, nil
}

func (a *api) replace(c *rest.Call) (rest.Reply, error) {
	if _, err := a.domain(c.Context(), c.Var("id")); err != nil {
		return rest.Reply{}, err
	}
	in, err := read(c)
	if err != nil {
		return rest.Reply{}, err
	}
	config, fresh, err := a.s.Replace(c.Context(), c.Var("id"), in)
	if err != nil {
		return rest.Reply{}, err
	}
	status := http.StatusOK
	if fresh {
		status = http.StatusCreated
	}
	return rest.Answer(status, body(c, config))
}

func (a *api) show(c *rest.Call) (rest.Reply, error) {
	if _, err := a.domain(c.Context(), c.Var("id")); err != nil {
		return rest.Reply{}, err
	}
	config, err := a.s.Get(c.Context(), c.Var("id"), c.Var("group"), c.Var("option"))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(body(c, config))
}

func (a *api) update(c *rest.Call) (rest.Reply, error) {
	if _, err := a.domain(c.Context(), c.Var("id")); err != nil {
		return rest.Reply{}, err
	}
	in, err := read(c)
	if err != nil {
		return rest.Reply{}, err
	}
	config, err := a.s.Update(c.Context(), c.Var("id"), c.Var("group"), c.Var("option"), in)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"config": config})
}

func (a *api) delete(c *rest.Call) (rest.Reply, error) {
	if _, err := a.domain(c.Context(), c.Var("id")); err != nil {
		return rest.Reply{}, err
	}
	return wire.Done(a.s.Delete(c.Context(), c.Var("id"), c.Var("group"), c.Var("option")))
}

func (a *api) standard(c *rest.Call) (rest.Reply, error) {
	config, err := Standard(c.Var("group"), c.Var("option"))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(body(c, config))
}
