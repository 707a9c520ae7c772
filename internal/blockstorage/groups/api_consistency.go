package groups

import (
	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/blockstorage/wire"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/rest"
)

// The calls of consistency groups are older names for groups of one type.

func (a api) consistencyRoutes() []rest.Route {
	const all, one = "/v3/consistencygroups", "/v3/consistencygroups/{id}"
	const snaps, snap = "/v3/cgsnapshots", "/v3/cgsnapshots/{id}"
	return []rest.Route{
		{Method: "GET", Path: all, Rule: ruleGetAll, Handle: a.listOld(false)},
		{Method: "GET", Path: all + "/detail", Rule: ruleGetAll, Handle: a.listOld(true)},
		{Method: "POST", Path: all, Rule: ruleCreate, Audit: "create", Handle: a.createOld},
		{Method: "POST", Path: all + "/create_from_src", Rule: ruleCreate, Audit: "create", Handle: a.copyOld},
		{Method: "GET", Path: one, Rule: ruleGet, Object: true, Handle: a.showOld},
		{Method: "POST", Path: one + "/delete", Rule: ruleDelete, Object: true, Audit: "delete", Handle: a.removeOld},
		{Method: "PUT", Path: one + "/update", Rule: ruleUpdate, Object: true, Audit: "update", Handle: a.updateOld},
		{Method: "GET", Path: snaps, Rule: ruleSnapGetAll, Handle: a.listOldSnapshots(false)},
		{Method: "GET", Path: snaps + "/detail", Rule: ruleSnapGetAll, Handle: a.listOldSnapshots(true)},
		{Method: "POST", Path: snaps, Rule: ruleSnapCreate, Audit: "create", Handle: a.createOldSnapshot},
		{Method: "GET", Path: snap, Rule: ruleSnapGet, Object: true, Handle: a.showOldSnapshot},
		{Method: "DELETE", Path: snap, Rule: ruleSnapDelete, Object: true, Audit: "delete", Handle: a.removeSnapshot},
	}
}

func oldView(g *group, detail bool) map[string]any {
	out := map[string]any{"id": g.ID, "name": blockstorage.OrNull(g.Name, g.NoName)}
	if detail {
		out["status"], out["availability_zone"], out["created_at"] = g.Status, g.Zone, blockstorage.Time(g.CreatedAt)
		out["description"], out["volume_types"] = blockstorage.OrNull(g.Description, g.NoDescribed), g.VolumeTypes
	}
	return out
}

func oldSnapshotView(x *snapshot, detail bool) map[string]any {
	out := map[string]any{"id": x.ID, "name": blockstorage.OrNull(x.Name, x.NoName)}
	if detail {
		out["consistencygroup_id"], out["status"], out["created_at"] = x.GroupID, x.Status, blockstorage.Time(x.CreatedAt)
		out["description"] = blockstorage.OrNull(x.Description, x.NoDescribed)
	}
	return out
}

// oldTerms confine lists to what the older calls are about.
func (a api) oldTerms(c *rest.Call, rule string) ([]listing.Term, error) {
	t, err := a.consistencyType(c.Context())
	if err != nil {
		return nil, err
	}
	return append(wire.Scope(c, rule), listing.Term{Column: "type_id", Values: []any{t.ID}}), nil
}

func (a api) listOld(detail bool) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		terms, err := a.oldTerms(c, ruleProject)
		if err != nil {
			return rest.Reply{}, err
		}
		q, _, err := a.brief.Query(c)
		if err != nil {
			return rest.Reply{}, err
		}
		q.Where = append(q.Where, terms...)
		list, err := a.groups.Store.List(c.Context(), q)
		views := make([]any, 0, len(list))
		for _, g := range list {
			views = append(views, oldView(g, detail))
		}
		if err != nil {
			return rest.Reply{}, err
		}
		return rest.OK(map[string]any{"consistencygroups": views})
	}
}

func (a api) listOldSnapshots(detail bool) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		terms, err := a.oldTerms(c, ruleSnapshotProject)
		if err != nil {
			return rest.Reply{}, err
		}
		q, _, err := a.snapshots.brief.Query(c)
		if err != nil {
			return rest.Reply{}, err
		}
		q.Where = append(q.Where, terms...)
		list, err := snapshotStore{a.groups.Store}.List(c.Context(), q)
		views := make([]any, 0, len(list))
		for _, x := range list {
			views = append(views, oldSnapshotView(x, detail))
		}
		if err != nil {
			return rest.Reply{}, err
		}
		return rest.OK(map[string]any{"cgsnapshots": views})
	}
}

func (a api) createOld(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Group struct {
			Name        rest.Opt[string] `json:"name" v:"max=255"`
			Description rest.Opt[string] `json:"description" v:"max=255"`
			VolumeTypes string           `json:"volume_types" v:"required,min=1"`
			Zone        rest.Opt[string] `json:"availability_zone" v:"max=255"`
			User        rest.Opt[string] `json:"user_id"`
			Project     rest.Opt[string] `json:"project_id"`
			Status      rest.Opt[string] `json:"status"`
		} `json:"consistencygroup" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	g := newGroup(c, naming{in.Group.Name, in.Group.Description})
	g.Zone = in.Group.Zone.V
	if err := a.make(c, g, blockstorage.ConsistencyType, split(in.Group.VolumeTypes)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(map[string]any{"consistencygroup": oldView(g, false)})
}

func (a api) copyOld(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Source struct {
			Name        rest.Opt[string] `json:"name" v:"max=255"`
			Description rest.Opt[string] `json:"description" v:"max=255"`
			Snapshot    rest.Opt[string] `json:"cgsnapshot_id"`
			Group       rest.Opt[string] `json:"source_cgid"`
			User        rest.Opt[string] `json:"user_id"`
			Project     rest.Opt[string] `json:"project_id"`
			Status      rest.Opt[string] `json:"status"`
		} `json:"consistencygroup-from-src" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	g := newGroup(c, naming{in.Source.Name, in.Source.Description})
	switch g.FromGroup, g.FromSnapshot = in.Source.Group.V, in.Source.Snapshot.V; {
	case g.FromGroup == "" && g.FromSnapshot == "":
		return rest.Reply{}, fault.Invalidf("Either 'cgsnapshot_id' or 'source_cgid' must be provided to create consistency group %s from source.", g.Name)
	case g.FromGroup != "" && g.FromSnapshot != "":
		return rest.Reply{}, fault.Invalidf("Cannot provide both 'cgsnapshot_id' and 'source_cgid' to create consistency group %s from source.", g.Name)
	}
	if err := a.groups.copyOf(c.Context(), g, viewer(c), c.Event("group", g.ID, g.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(map[string]any{"consistencygroup": oldView(g, false)})
}

func (a api) showOld(c *rest.Call) (rest.Reply, error) {
	g, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"consistencygroup": oldView(g, true)})
}

func (a api) removeOld(c *rest.Call) (rest.Reply, error) {
	g, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Group struct {
			Force rest.Opt[rest.Bool] `json:"force"`
		} `json:"consistencygroup"`
	}
	if len(c.Payload()) > 0 {
		if err := c.Decode(&in); err != nil {
			return rest.Reply{}, err
		}
	}
	return a.drop(c, g, bool(in.Group.Force.V))
}

func (a api) updateOld(c *rest.Call) (rest.Reply, error) {
	g, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Group updateBody `json:"consistencygroup" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	return a.change(c, g, &in.Group)
}

func (a api) createOldSnapshot(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Snapshot struct {
			Group       string           `json:"consistencygroup_id" v:"required"`
			Name        rest.Opt[string] `json:"name" v:"max=255"`
			Description rest.Opt[string] `json:"description" v:"max=255"`
			User        rest.Opt[string] `json:"user_id"`
			Project     rest.Opt[string] `json:"project_id"`
			Status      rest.Opt[string] `json:"status"`
		} `json:"cgsnapshot" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	x, err := a.take(c, in.Snapshot.Group, naming{in.Snapshot.Name, in.Snapshot.Description})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(map[string]any{"cgsnapshot": oldSnapshotView(x, false)})
}

func (a api) showOldSnapshot(c *rest.Call) (rest.Reply, error) {
	x, err := a.snapshots.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"cgsnapshot": oldSnapshotView(x, true)})
}
