package aggregates

import (
	"strconv"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/microversion"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const rulePrefix = "os_compute_api:os-aggregates:"

// withUUID is since when aggregates show their UUID.
const withUUID = microversion.Version(2041)

// Rules are the policy rules of aggregates, with upstream's names and defaults.
func Rules() []policy.Rule {
	var out []policy.Rule
	for _, verb := range []string{"index", "create", "show", "update", "delete", "add_host", "remove_host", "set_metadata"} {
		out = append(out, policy.Rule{Name: rulePrefix + verb, Check: policy.Admin, Scopes: []string{"project"}, Description: "Aggregates: " + verb + "."})
	}
	return append(out, imageRules()...)
}

type api struct{ aggregates *Aggregates }

// Routes are the operations of aggregates.
func (s *Aggregates) Routes() []rest.Route {
	a := api{s}
	return append(a.imageRoutes(), []rest.Route{
		{Method: "GET", Path: "/v2.1/os-aggregates", Rule: rulePrefix + "index", Handle: a.list},
		{Method: "POST", Path: "/v2.1/os-aggregates", Rule: rulePrefix + "create", Audit: "create", Handle: a.create},
		{Method: "GET", Path: "/v2.1/os-aggregates/{id}", Rule: rulePrefix + "show", Handle: a.show},
		{Method: "PUT", Path: "/v2.1/os-aggregates/{id}", Rule: rulePrefix + "update", Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: "/v2.1/os-aggregates/{id}", Rule: rulePrefix + "delete", Audit: "delete", Handle: a.remove},
		{Method: "POST", Path: "/v2.1/os-aggregates/{id}/action", Actions: map[string]rest.Action{
			"add_host": {Rule: rulePrefix + "add_host", Handle: a.host}, "remove_host": {Rule: rulePrefix + "remove_host", Handle: a.host},
			"set_metadata": {Rule: rulePrefix + "set_metadata", Handle: a.metadata}}},
	}...)
}

func view(c *rest.Call, a *Aggregate) map[string]any {
	at := func(us int64) any {
		if us == 0 {
			return nil
		}
		return clock.FromMicros(us).Format("2006-01-02T15:04:05.000000")
	}
	out := map[string]any{"id": a.Serial, "name": a.Name, "hosts": a.Hosts.V, "metadata": a.Metadata.V, "created_at": at(a.CreatedAt),
		"updated_at": at(a.UpdatedAt), "deleted": false, "deleted_at": nil, "availability_zone": nil}
	if a.Zone != "" {
		out["availability_zone"] = a.Zone
	}
	if c.At(withUUID) {
		out["uuid"] = a.ID
	}
	return out
}

func (a api) list(c *rest.Call) (rest.Reply, error) {
	all, err := a.aggregates.All(c.Context())
	if err != nil {
		return rest.Reply{}, err
	}
	out := []any{}
	for _, one := range all {
		out = append(out, view(c, one))
	}
	return rest.OK(map[string]any{"aggregates": out})
}

func serial(c *rest.Call) (int64, error) {
	n, err := strconv.ParseInt(c.Var("id"), 10, 64)
	if err != nil || n < 1 {
		return 0, fault.NotFoundf("Aggregate %s could not be found.", c.Var("id"))
	}
	return n, nil
}

func answer(c *rest.Call, a *Aggregate, err error) (rest.Reply, error) {
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"aggregate": view(c, a)})
}

func (a api) create(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Aggregate struct {
			Name string           `json:"name" v:"required,name,min=1,max=255"`
			Zone rest.Opt[string] `json:"availability_zone" v:"min=1,max=255,match=^[^:]*$"`
		} `json:"aggregate" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	one, err := a.aggregates.create(c.Context(), in.Aggregate.Name, in.Aggregate.Zone.V, c.Event("aggregate", "", ""))
	if err != nil {
		return rest.Reply{}, err
	}
	body := view(c, one)
	delete(body, "hosts") // upstream shows neither here
	delete(body, "metadata")
	return rest.OK(map[string]any{"aggregate": body})
}

func (a api) show(c *rest.Call) (rest.Reply, error) {
	n, err := serial(c)
	if err != nil {
		return rest.Reply{}, err
	}
	one, err := bySerial(c.Context(), a.aggregates.DB, n)
	return answer(c, one, err)
}

func (a api) update(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Aggregate struct {
			Name string           `json:"name" v:"name,min=1,max=255"`
			Zone rest.Opt[string] `json:"availability_zone" v:"min=1,max=255,match=^[^:]*$"`
		} `json:"aggregate" v:"required"`
	}
	n, err := serial(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if in.Aggregate.Name == "" && !in.Aggregate.Zone.Set {
		return rest.Reply{}, fault.Invalidf("Invalid input for field/attribute aggregate. Value: {}. It is empty")
	}
	one, err := a.aggregates.change(c.Context(), n, c.Event("aggregate", "", ""), func(tx *db.Tx, one *Aggregate) error {
		if name := in.Aggregate.Name; name != "" {
			if err := free(c.Context(), tx, name, one.ID); err != nil {
				return err
			}
			one.Name = name
		}
		if in.Aggregate.Zone.Set {
			setMetadata(one, map[string]*string{"availability_zone": &in.Aggregate.Zone.V})
		}
		return nil
	})
	return answer(c, one, err)
}

func setMetadata(a *Aggregate, values map[string]*string) {
	for key, v := range values {
		if v == nil || *v == "" {
			delete(a.Metadata.V, key)
			continue
		}
		a.Metadata.V[key] = *v
	}
}

func (a api) remove(c *rest.Call) (rest.Reply, error) {
	n, err := serial(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.aggregates.remove(c.Context(), n, c.Event("aggregate", "", "")); err != nil {
		return rest.Reply{}, err
	}
	return rest.Answer(200, nil)
}

func (a api) host(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Host string `json:"host" v:"required,name,min=1,max=255"`
	}
	n, err := a.begin(c, &in)
	if err != nil {
		return rest.Reply{}, err
	}
	edit := a.aggregates.addHost
	if c.Action == "remove_host" {
		edit = a.aggregates.dropHost
	}
	one, err := edit(c.Context(), n, in.Host, c.Event("aggregate", "", ""))
	return answer(c, one, err)
}

func (a api) metadata(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Metadata map[string]*string `json:"metadata" v:"required,null"`
	}
	n, err := a.begin(c, &in)
	if err != nil {
		return rest.Reply{}, err
	}
	one, err := a.aggregates.change(c.Context(), n, c.Event("aggregate", "", ""), func(_ *db.Tx, one *Aggregate) error {
		setMetadata(one, in.Metadata)
		return nil
	})
	return answer(c, one, err)
}

func (a api) begin(c *rest.Call, in any) (int64, error) {
	if err := c.Authorize(c.Caller()); err != nil {
		return 0, err
	}
	n, err := serial(c)
	if err != nil {
		return 0, err
	}
	return n, c.Decode(in)
}
