package types

import (
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/rest"
)

// checkSpecs refuses keys and values that upstream's schema refuses.
func checkSpecs(specs map[string]string) error {
	for k, v := range specs {
		if k == "" || len(k) > 255 || len(v) > 255 || strings.ContainsFunc(k, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_:. ", r)
		}) {
			return fault.Invalidf("Invalid input for field/attribute extra_specs. Value: %s. It does not match '^[a-zA-Z0-9-_:. ]{1,255}$'", k)
		}
	}
	return nil
}

// bySpecs is the condition of a list that asks for types with extra specs. For
// who may not see one of them, no type has it. Versions without the filter
// have it for administrators all the same, as upstream.
func (a api) bySpecs(c *rest.Call) ([]listing.Term, error) {
	texts := c.Values()["extra_specs"]
	if len(texts) == 0 || !c.At(blockstorage.ZonesOfTypes) && !c.Allow(ruleAccessAll, c.Caller()) {
		return nil, nil
	}
	asked, err := blockstorage.ParseDict(texts[len(texts)-1])
	if err != nil {
		return nil, err
	}
	visible := c.Allow(ruleSpecSecret, c.Caller())
	for key := range asked {
		if !visible && !slices.Contains(visibleSpecs, key) {
			return []listing.Term{{Column: "id", Op: listing.In}}, nil
		}
	}
	ids, err := a.types.store.withSpecs(c.Context(), asked)
	return []listing.Term{{Column: "id", Op: listing.In, Values: ids}}, err
}

func (a api) specs(c *rest.Call) (rest.Reply, error) {
	t, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"extra_specs": shownSpecs(c, t)})
}

func (a api) spec(c *rest.Call) (rest.Reply, error) {
	t, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	shown := shownSpecs(c, t).(map[string]string)
	v, ok := shown[c.Var("key")]
	if !ok {
		return rest.Reply{}, noSpec(c)
	}
	return rest.OK(map[string]string{c.Var("key"): v})
}

func noSpec(c *rest.Call) error {
	return fault.NotFoundf("Volume Type %s has no extra specs with key %s.", c.Var("id"), c.Var("key"))
}

func (a api) addSpecs(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Specs map[string]string `json:"extra_specs" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if err := checkSpecs(in.Specs); err != nil {
		return rest.Reply{}, err
	}
	_, err := a.types.change(c.Context(), c.Var("id"), c.Event("volume_type", c.Var("id"), ""), func(t *blockstorage.Type) error {
		for k, v := range in.Specs {
			t.ExtraSpecs[k] = v
		}
		return nil
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"extra_specs": in.Specs})
}

func (a api) setSpec(c *rest.Call) (rest.Reply, error) {
	var in map[string]string
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	v, ok := in[c.Var("key")]
	if !ok || len(in) != 1 {
		return rest.Reply{}, fault.Invalidf("Request body and URI mismatch")
	}
	if err := checkSpecs(in); err != nil {
		return rest.Reply{}, err
	}
	_, err := a.types.change(c.Context(), c.Var("id"), c.Event("volume_type", c.Var("id"), ""), func(t *blockstorage.Type) error {
		t.ExtraSpecs[c.Var("key")] = v
		return nil
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(in)
}

func (a api) dropSpec(c *rest.Call) (rest.Reply, error) {
	_, err := a.types.change(c.Context(), c.Var("id"), c.Event("volume_type", c.Var("id"), ""), func(t *blockstorage.Type) error {
		if _, ok := t.ExtraSpecs[c.Var("key")]; !ok {
			return noSpec(c)
		}
		delete(t.ExtraSpecs, c.Var("key"))
		return nil
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

func (a api) access(c *rest.Call) (rest.Reply, error) {
	t, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if t.Public {
		return rest.Reply{}, fault.NotFoundf("Access list not available for public volume types.")
	}
	projects, err := a.types.store.projects(c.Context(), t.ID)
	if err != nil {
		return rest.Reply{}, err
	}
	list := make([]map[string]string, 0, len(projects))
	for _, p := range projects {
		list = append(list, map[string]string{"volume_type_id": t.ID, "project_id": p})
	}
	return rest.OK(map[string]any{"volume_type_access": list})
}

// private is a type and the project named by an access action.
func (a api) private(c *rest.Call) (t *blockstorage.Type, project string, err error) {
	if err := c.Authorize(c.Caller()); err != nil {
		return nil, "", err
	}
	var in struct {
		Project string `json:"project" v:"required,min=1,max=255"`
	}
	if err := c.Decode(&in); err != nil {
		return nil, "", err
	}
	t, err = a.find(c)
	if err == nil && t.Public {
		err = fault.Conflictf("Invalid volume type: Type access modification is not applicable to public volume type.")
	}
	return t, in.Project, err
}

func (a api) grant(c *rest.Call) (rest.Reply, error) {
	t, project, err := a.private(c)
	if err == nil {
		err = a.types.grant(c.Context(), t.ID, project, c.Event("volume_type", t.ID, project))
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

func (a api) withdraw(c *rest.Call) (rest.Reply, error) {
	t, project, err := a.private(c)
	if err == nil {
		err = a.types.withdraw(c.Context(), t.ID, project, c.Event("volume_type", t.ID, project))
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

func defaultBody(project, typeID string) map[string]string {
	return map[string]string{"project_id": project, "volume_type_id": typeID}
}

func (a api) defaults(c *rest.Call) (rest.Reply, error) {
	rows, err := defaultRows.Find(c.Context(), a.types.db)
	if err != nil {
		return rest.Reply{}, err
	}
	list := make([]map[string]string, 0, len(rows))
	for _, r := range rows {
		list = append(list, defaultBody(r.ProjectID, r.TypeID))
	}
	return rest.OK(map[string]any{"default_types": list})
}

func (a api) defaultOf(c *rest.Call) (rest.Reply, error) {
	typeID, err := a.types.store.defaultOf(c.Context(), c.Var("project"))
	if err == nil && typeID == "" {
		err = fault.NotFoundf("Default type for project %s not found.", c.Var("project"))
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"default_type": defaultBody(c.Var("project"), typeID)})
}

func (a api) setDefault(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Default struct {
			Type string `json:"volume_type" v:"required,min=1,max=255"`
		} `json:"default_type" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	project := c.Var("project")
	t, err := a.types.Resolve(c.Context(), in.Default.Type, project, true)
	if err == nil {
		err = a.types.setDefault(c.Context(), project, t.ID, c.Event("default_type", project, project))
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"default_type": defaultBody(project, t.ID)})
}

func (a api) unsetDefault(c *rest.Call) (rest.Reply, error) {
	project := c.Var("project")
	if err := a.types.setDefault(c.Context(), project, "", c.Event("default_type", project, project)); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}
