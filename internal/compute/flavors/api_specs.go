package flavors

import (
	"encoding/json"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/rest"
)

var idPattern = regexp.MustCompile(`^[a-zA-Z0-9. _-]*$`)

// chosenID reads the id of a new flavor: a string, a number, "auto" or null.
func chosenID(in rest.Opt[any]) (string, error) {
	var text string
	switch v := in.V.(type) {
	case nil:
		return "", nil
	case string:
		text = v
	case float64:
		text = strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return "", fault.Invalidf("Invalid input for field/attribute id: it is neither a string nor a number")
	}
	if text == "auto" {
		return "", nil
	}
	if text == "" || len(text) > 255 || strings.TrimSpace(text) != text || !idPattern.MatchString(text) {
		return "", fault.Invalidf("Invalid input for field/attribute id. Value: %s. It can only contain letters, digits, period, dash, underscore and inner blanks", text)
	}
	return text, nil
}

// factorOf reads rxtx_factor: a positive number, also as text.
func factorOf(in any) (float64, error) {
	var f float64
	var err error
	switch v := in.(type) {
	case nil:
		return 1, nil
	case float64:
		f = v
	case string:
		f, err = strconv.ParseFloat(v, 64)
	default:
		err = strconv.ErrSyntax
	}
	if err != nil || math.IsNaN(f) || f <= 0 || f > math.MaxFloat32 {
		return 0, fault.Invalidf("Invalid input for field/attribute rxtx_factor: it must be a number greater than 0")
	}
	return f, nil
}

var specKey = regexp.MustCompile(`^[a-zA-Z0-9_.:\- ]{1,255}$`)

// specsOf reads extra specs: text or numbers by key.
func specsOf(in map[string]json.RawMessage) (map[string]string, error) {
	out := map[string]string{}
	for key, raw := range in {
		if !specKey.MatchString(key) {
			return nil, fault.Invalidf("Invalid input for field/attribute extra_specs: %q is not a valid key", key)
		}
		var value any
		if err := json.Unmarshal(raw, &value); err != nil {
			return nil, fault.Invalidf("Invalid input for field/attribute %s", key)
		}
		switch v := value.(type) {
		case string:
			if len(v) > 255 {
				return nil, fault.Invalidf("Invalid input for field/attribute %s: it is too long", key)
			}
			out[key] = v
		case float64:
			out[key] = strconv.FormatFloat(v, 'f', -1, 64)
		default:
			return nil, fault.Invalidf("Invalid input for field/attribute %s. Value: %s. It is neither a string nor a number", key, raw)
		}
	}
	return out, nil
}

// specs answers a flavor's extra specs.
func (a *api) specs(c *rest.Call) (rest.Reply, error) {
	f, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"extra_specs": f.ExtraSpecs})
}

func (a *api) spec(c *rest.Call) (rest.Reply, error) {
	f, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	value, ok := f.ExtraSpecs[c.Var("key")]
	if !ok {
		return rest.Reply{}, noSpec(f.ID, c.Var("key"))
	}
	return rest.OK(map[string]any{c.Var("key"): value})
}

func (a *api) addSpecs(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Specs map[string]json.RawMessage `json:"extra_specs" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	specs, err := specsOf(in.Specs)
	if err != nil {
		return rest.Reply{}, err
	}
	if _, err := a.flavors.SetSpecs(c.Context(), c.Var("id"), specs, c.Event("flavor", c.Var("id"), "")); err != nil {
		return rest.Reply{}, missing(c, err)
	}
	return rest.OK(map[string]any{"extra_specs": specs})
}

func (a *api) setSpec(c *rest.Call) (rest.Reply, error) {
	var in map[string]json.RawMessage
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if _, ok := in[c.Var("key")]; !ok || len(in) != 1 {
		return rest.Reply{}, fault.Invalidf("The body must hold exactly the key that the address names")
	}
	specs, err := specsOf(in)
	if err != nil {
		return rest.Reply{}, err
	}
	if _, err := a.flavors.SetSpecs(c.Context(), c.Var("id"), specs, c.Event("flavor", c.Var("id"), "")); err != nil {
		return rest.Reply{}, missing(c, err)
	}
	return rest.OK(specs)
}

func (a *api) dropSpec(c *rest.Call) (rest.Reply, error) {
	if err := a.flavors.DropSpec(c.Context(), c.Var("id"), c.Var("key"), c.Event("flavor", c.Var("id"), "")); err != nil {
		return rest.Reply{}, missing(c, err)
	}
	return rest.Answer(200, nil)
}

// access lists who may use a private flavor; a public one has no such list.
func (a *api) access(c *rest.Call) (rest.Reply, error) {
	f, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if f.Public {
		return rest.Reply{}, fault.NotFoundf("Access list not available for public flavors.")
	}
	return a.accessBody(c, f.ID)
}

func (a *api) accessBody(c *rest.Call, flavorID string) (rest.Reply, error) {
	projects, err := a.flavors.store.access(c.Context(), flavorID)
	if err != nil {
		return rest.Reply{}, err
	}
	out := make([]map[string]string, 0, len(projects))
	for _, p := range projects {
		out = append(out, map[string]string{"flavor_id": flavorID, "tenant_id": p})
	}
	return rest.OK(map[string]any{"flavor_access": out})
}

type accessBody struct {
	Tenant string `json:"tenant" v:"required,min=1,max=255"`
}

func (a *api) grant(c *rest.Call) (rest.Reply, error) {
	f, project, err := a.accessChange(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.flavors.Grant(c.Context(), f, project, c.Event("flavor", f, "")); err != nil {
		return rest.Reply{}, err
	}
	return a.accessBody(c, f)
}

func (a *api) revoke(c *rest.Call) (rest.Reply, error) {
	f, project, err := a.accessChange(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.flavors.Revoke(c.Context(), f, project, c.Event("flavor", f, "")); err != nil {
		return rest.Reply{}, err
	}
	return a.accessBody(c, f)
}

func (a *api) accessChange(c *rest.Call) (flavorID, project string, err error) {
	if err := c.Authorize(c.Caller()); err != nil {
		return "", "", err
	}
	var in accessBody
	if err := c.Decode(&in); err != nil {
		return "", "", err
	}
	f, err := a.find(c)
	if err != nil {
		return "", "", err
	}
	if f.Public && c.Action == "addTenantAccess" && c.At(compute.NoTenantAccessPublic) {
		return "", "", fault.Conflictf("Can not add access to a public flavor.")
	}
	return f.ID, in.Tenant, nil
}
