package groups

import (
	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/blockstorage/wire"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

func (a api) snapshotRoutes() []rest.Route {
	since := blockstorage.GroupSnapshots
	const one = "/v3/group_snapshots/{id}"
	return []rest.Route{
		{Method: "GET", Path: "/v3/group_snapshots", Rule: ruleSnapGetAll, Since: since, Handle: a.listSnapshots(false)},
		{Method: "GET", Path: "/v3/group_snapshots/detail", Rule: ruleSnapGetAll, Since: since, Handle: a.listSnapshots(true)},
		{Method: "POST", Path: "/v3/group_snapshots", Rule: ruleSnapCreate, Since: since, Audit: "create", Handle: a.createSnapshot},
		{Method: "GET", Path: one, Rule: ruleSnapGet, Object: true, Since: since, Handle: a.snapshots.table.Read},
		{Method: "DELETE", Path: one, Rule: ruleSnapDelete, Object: true, Since: since, Audit: "delete", Handle: a.removeSnapshot},
		{Method: "POST", Path: one + "/action", Since: since, Actions: map[string]rest.Action{
			"reset_status": {Rule: ruleSnapReset, Since: blockstorage.GroupSnapshotReset, Handle: a.resetSnapshot}}},
	}
}

func (a api) listSnapshots(detail bool) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		t := &a.snapshots.brief
		if detail {
			t = &a.snapshots.table
		}
		return wire.List(c, t, wire.Scope(c, ruleSnapshotProject), blockstorage.GroupSnapshotNotFound, false)
	}
}

func (a api) createSnapshot(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Snapshot struct {
			Group       string           `json:"group_id" v:"required,uuid"`
			Name        rest.Opt[string] `json:"name" v:"max=255"`
			Description rest.Opt[string] `json:"description" v:"max=255"`
		} `json:"group_snapshot" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	x, err := a.take(c, in.Snapshot.Group, naming{in.Snapshot.Name, in.Snapshot.Description})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(a.snapshots.brief.Body(c, x))
}

// take begins a snapshot of a group that the caller sees.
func (a api) take(c *rest.Call, groupID string, n naming) (*snapshot, error) {
	g, err := a.groups.Store.Get(c.Context(), groupID)
	if err == nil && !c.Allow(ruleGet, policy.Target{"project_id": g.ProjectID}) {
		err = blockstorage.GroupNotFound(groupID)
	}
	if err != nil {
		return nil, err
	}
	x := &snapshot{ID: id.New(), ProjectID: g.ProjectID, UserID: c.Auth.UserID, GroupID: g.ID, TypeID: g.TypeID}
	x.Name, x.NoName, x.Description, x.NoDescribed = n.words()
	return x, a.groups.take(c.Context(), x, c.Event("group_snapshot", x.ID, x.ProjectID))
}

func (a api) removeSnapshot(c *rest.Call) (rest.Reply, error) {
	x, err := a.snapshots.table.Find(c, c.Var("id"))
	if err == nil {
		err = a.groups.dropSnapshot(c.Context(), x.ID, c.Event("group_snapshot", x.ID, x.ProjectID))
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

func (a api) resetSnapshot(c *rest.Call) (rest.Reply, error) {
	x, err := a.snapshots.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	status, err := resetTo(c)
	if err == nil {
		err = a.groups.setSnapshotStatus(c.Context(), x.ID, status, c.Event("group_snapshot", x.ID, x.ProjectID))
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}
