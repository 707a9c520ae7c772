package grouptypes

import (
	"maps"
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage/wire"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/rest"
)

// readSpecs refuses keys and values that upstream's schema refuses.
func readSpecs(in map[string]any) (map[string]*string, error) {
	specs, err := wire.TextsOrNulls("group_specs", in)
	if err != nil {
		return nil, err
	}
	for k, v := range specs {
		if k == "" || len(k) > 255 || v != nil && len(*v) > 255 || strings.ContainsFunc(k, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_:.", r)
		}) {
			return nil, fault.Invalidf("Invalid input for field/attribute group_specs. Value: %s. It does not match '^[a-zA-Z0-9-_:.]{1,255}$'", k)
		}
	}
	return specs, nil
}

func (a api) specs(c *rest.Call) (rest.Reply, error) {
	t, err := a.types.store.Get(c.Context(), c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"group_specs": t.Specs})
}

func noSpec(c *rest.Call) error {
	return fault.NotFoundf("Group Type %s has no extra spec with key %s.", c.Var("id"), c.Var("key"))
}

func (a api) spec(c *rest.Call) (rest.Reply, error) {
	t, err := a.types.store.Get(c.Context(), c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	v, ok := t.Specs[c.Var("key")]
	if !ok {
		return rest.Reply{}, noSpec(c)
	}
	return rest.OK(map[string]*string{c.Var("key"): v})
}

// changeSpecs lets f change the specs of the type in the path.
func (a api) changeSpecs(c *rest.Call, f func(specs map[string]*string) error) error {
	_, err := a.types.change(c.Context(), c.Var("id"), c.Event("group_type", c.Var("id"), ""), func(t *groupType) error { return f(t.Specs) })
	return err
}

func (a api) addSpecs(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Specs map[string]any `json:"group_specs" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	added, err := readSpecs(in.Specs)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.changeSpecs(c, func(specs map[string]*string) error { maps.Copy(specs, added); return nil }); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(map[string]any{"group_specs": added})
}

func (a api) setSpec(c *rest.Call) (rest.Reply, error) {
	var in map[string]any
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if _, ok := in[c.Var("key")]; !ok || len(in) != 1 {
		return rest.Reply{}, fault.Invalidf("Request body and URI mismatch")
	}
	one, err := readSpecs(in)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.changeSpecs(c, func(specs map[string]*string) error { maps.Copy(specs, one); return nil }); err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(one)
}

func (a api) dropSpec(c *rest.Call) (rest.Reply, error) {
	err := a.changeSpecs(c, func(specs map[string]*string) error {
		if _, ok := specs[c.Var("key")]; !ok {
			return noSpec(c)
		}
		delete(specs, c.Var("key"))
		return nil
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}
