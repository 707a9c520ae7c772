package groups

import (
	"context"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/blockstorage/wire"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	ruleCreate          = "group:create"
	ruleUpdate          = "group:update"
	ruleGet             = "group:get"
	ruleGetAll          = "group:get_all"
	ruleDelete          = "group:delete"
	ruleReset           = "group:reset_status"
	ruleEnable          = "group:enable_replication"
	ruleDisable         = "group:disable_replication"
	ruleFailover        = "group:failover_replication"
	ruleTargets         = "group:list_replication_targets"
	ruleProject         = "group:group_project_attribute"
	ruleSnapCreate      = "group:create_group_snapshot"
	ruleSnapDelete      = "group:delete_group_snapshot"
	ruleSnapUpdate      = "group:update_group_snapshot"
	ruleSnapGet         = "group:get_group_snapshot"
	ruleSnapGetAll      = "group:get_all_group_snapshots"
	ruleSnapReset       = "group:reset_group_snapshot_status"
	ruleSnapshotProject = "group:group_snapshot_project_attribute"
)

// Rules are the policy rules of groups, with upstream's names and defaults.
func Rules() []policy.Rule {
	return wire.Rules("Groups", map[string][]string{
		policy.ProjectReaderOrAdmin: {ruleGet, ruleGetAll, ruleSnapGet, ruleSnapGetAll},
		policy.ProjectMemberOrAdmin: {ruleCreate, ruleUpdate, ruleDelete, ruleEnable, ruleDisable, ruleFailover, ruleTargets, ruleSnapCreate, ruleSnapDelete, ruleSnapUpdate},
		policy.Admin:                {ruleReset, ruleProject, ruleSnapReset, ruleSnapshotProject},
	})
}

// Routes are the operations of groups, group snapshots and consistency groups.
func (s *Groups) Routes() []rest.Route {
	a := newAPI(s)
	since := blockstorage.GroupOnVolume
	own := []rest.Route{
		{Method: "GET", Path: "/v3/groups", Rule: ruleGetAll, Since: since, Handle: a.list(false)},
		{Method: "GET", Path: "/v3/groups/detail", Rule: ruleGetAll, Since: since, Handle: a.list(true)},
		{Method: "POST", Path: "/v3/groups", Rule: ruleCreate, Since: since, Audit: "create", Handle: a.create},
		{Method: "POST", Path: "/v3/groups/action", Since: blockstorage.GroupSnapshots, Actions: map[string]rest.Action{
			"create-from-src": {Rule: ruleCreate, Audit: "create", Handle: a.copyOf}}},
		{Method: "GET", Path: "/v3/groups/{id}", Rule: ruleGet, Object: true, Since: since, Handle: a.show},
		{Method: "PUT", Path: "/v3/groups/{id}", Rule: ruleUpdate, Object: true, Since: since, Audit: "update", Handle: a.update},
		{Method: "POST", Path: "/v3/groups/{id}/action", Since: since, Actions: map[string]rest.Action{
			"delete":                   {Rule: ruleDelete, Handle: a.remove},
			"reset_status":             {Rule: ruleReset, Since: blockstorage.GroupReset, Handle: a.reset},
			"enable_replication":       {Rule: ruleEnable, Since: blockstorage.GroupReplication, Handle: a.replicate},
			"disable_replication":      {Rule: ruleDisable, Since: blockstorage.GroupReplication, Handle: a.replicate},
			"failover_replication":     {Rule: ruleFailover, Since: blockstorage.GroupReplication, Handle: a.replicate},
			"list_replication_targets": {Rule: ruleTargets, Since: blockstorage.GroupReplication, Handle: a.replicate},
		}},
	}
	return slices.Concat(own, a.snapshotRoutes(), a.consistencyRoutes())
}

type api struct {
	groups    *Groups
	table     rest.Resource[group]
	brief     rest.Resource[group]
	snapshots snapshotTables
}

func newAPI(s *Groups) api {
	return api{groups: s, table: table(s.Store), brief: brief(s.Store), snapshots: newSnapshotTables(s.Store)}
}

// shaped is the table with the volumes of groups where they are asked for.
func (a api) shaped(c *rest.Call) (rest.Resource[group], error) {
	t := a.table
	if asked, _ := rest.ParseBool(c.Values().Get("list_volume")); !asked {
		return t, nil
	}
	members, err := a.groups.Volumes.Grouped(c.Context())
	t.Fields = append(slices.Clone(t.Fields), rest.Field[group]{Name: "volumes", Since: blockstorage.GroupVolumeList, Get: func(g *group) any {
		if members[g.ID] == nil {
			return []string{}
		}
		return members[g.ID]
	}})
	return t, err
}

func viewer(c *rest.Call) blockstorage.Viewer {
	return blockstorage.Viewer{ProjectID: c.Auth.ProjectID, UserID: c.Auth.UserID, Admin: c.Allow(ruleProject, c.Caller())}
}

func (a api) list(detail bool) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		t := a.brief
		if detail {
			var err error
			if t, err = a.shaped(c); err != nil {
				return rest.Reply{}, err
			}
		}
		return wire.List(c, &t, wire.Scope(c, ruleProject), blockstorage.GroupNotFound, false)
	}
}

func (a api) show(c *rest.Call) (rest.Reply, error) {
	t, err := a.shaped(c)
	if err != nil {
		return rest.Reply{}, err
	}
	return t.Read(c)
}

// naming are the members that groups and group snapshots are named by.
type naming struct {
	Name        rest.Opt[string] `json:"name" v:"max=255"`
	Description rest.Opt[string] `json:"description" v:"max=255"`
}

func (n naming) words() (name string, noName bool, text string, noText bool) {
	return strings.TrimSpace(n.Name.V), !n.Name.Set || n.Name.Null, strings.TrimSpace(n.Description.V), !n.Description.Set || n.Description.Null
}

func (a api) create(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Group struct {
			Name        rest.Opt[string] `json:"name" v:"max=255"`
			Description rest.Opt[string] `json:"description" v:"max=255"`
			Type        string           `json:"group_type" v:"required,min=1,max=255"`
			VolumeTypes []string         `json:"volume_types" v:"required,min=1"`
			Zone        rest.Opt[string] `json:"availability_zone" v:"max=255"`
		} `json:"group" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	g := newGroup(c, naming{in.Group.Name, in.Group.Description})
	g.Zone = in.Group.Zone.V
	if err := a.make(c, g, in.Group.Type, in.Group.VolumeTypes); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(a.brief.Body(c, g))
}

func newGroup(c *rest.Call, n naming) *group {
	g := &group{ID: id.New(), ProjectID: c.Auth.ProjectID, UserID: c.Auth.UserID}
	g.Name, g.NoName, g.Description, g.NoDescribed = n.words()
	return g
}

func (a api) make(c *rest.Call, g *group, typeWord string, volumeTypes []string) error {
	if err := a.groups.typed(c.Context(), g, typeWord, volumeTypes, viewer(c)); err != nil {
		return err
	}
	return a.groups.create(c.Context(), g, c.Event("group", g.ID, g.ProjectID))
}

func (a api) copyOf(c *rest.Call) (rest.Reply, error) {
	if err := c.Authorize(c.Caller()); err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Name        rest.Opt[string] `json:"name" v:"max=255"`
		Description rest.Opt[string] `json:"description" v:"max=255"`
		Group       rest.Opt[string] `json:"source_group_id" v:"uuid"`
		Snapshot    rest.Opt[string] `json:"group_snapshot_id" v:"uuid"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	g := newGroup(c, naming{in.Name, in.Description})
	if g.FromGroup, g.FromSnapshot = in.Group.V, in.Snapshot.V; (g.FromGroup == "") == (g.FromSnapshot == "") {
		return rest.Reply{}, fault.Invalidf("Invalid input for field/attribute create-from-src. Give either 'group_snapshot_id' or 'source_group_id'")
	}
	if err := a.groups.copyOf(c.Context(), g, viewer(c), c.Event("group", g.ID, g.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(a.brief.Body(c, g))
}

// split reads ids separated by commas.
func split(text string) []string {
	var out []string
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word != "" {
			out = append(out, word)
		}
	}
	return out
}

// updateBody is what both kinds of update send.
type updateBody struct {
	Name        rest.Opt[string] `json:"name" v:"max=255"`
	Description rest.Opt[string] `json:"description" v:"max=255"`
	Add         rest.Opt[string] `json:"add_volumes"`
	Remove      rest.Opt[string] `json:"remove_volumes"`
}

func (in *updateBody) changes() (changes, error) {
	c := changes{add: split(in.Add.V), remove: split(in.Remove.V)}
	if in.Name.Set && !in.Name.Null {
		name := strings.TrimSpace(in.Name.V)
		c.name = &name
	}
	if in.Description.Set && !in.Description.Null {
		text := strings.TrimSpace(in.Description.V)
		c.description = &text
	}
	for _, v := range c.add {
		if slices.Contains(c.remove, v) {
			return c, blockstorage.InvalidVolume("UUID %s is in both add and remove volume list.", v)
		}
	}
	if c.name == nil && c.description == nil && len(c.add)+len(c.remove) == 0 {
		return c, fault.Invalidf("Name, description, add_volumes, and remove_volumes can not be all empty in the request body.")
	}
	return c, nil
}

func (a api) update(c *rest.Call) (rest.Reply, error) {
	g, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Group updateBody `json:"group" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	return a.change(c, g, &in.Group)
}

func (a api) change(c *rest.Call, g *group, in *updateBody) (rest.Reply, error) {
	what, err := in.changes()
	if err == nil {
		err = a.groups.update(c.Context(), g.ID, what, c.Event("group", g.ID, g.ProjectID))
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

func (a api) remove(c *rest.Call) (rest.Reply, error) {
	g, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Volumes rest.Opt[rest.Bool] `json:"delete-volumes"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	return a.drop(c, g, bool(in.Volumes.V))
}

func (a api) drop(c *rest.Call, g *group, withVolumes bool) (rest.Reply, error) {
	if err := a.groups.drop(c.Context(), g.ID, withVolumes, c.Event("group", g.ID, g.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

// resettable are the statuses that reset_status writes.
var resettable = []string{"error", "available", "creating", "deleting", "deleted", "updating", "error_deleting"}

func resetTo(c *rest.Call) (blockstorage.GroupStatus, error) {
	var in struct {
		Status string `json:"status" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return "", err
	}
	if !slices.Contains(resettable, in.Status) {
		return "", fault.Invalidf("Invalid input for field/attribute status. Value: %s. '%s' is not one of the statuses of a group", in.Status, in.Status)
	}
	return blockstorage.GroupStatus(in.Status), nil
}

func (a api) reset(c *rest.Call) (rest.Reply, error) {
	g, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	status, err := resetTo(c)
	if err == nil {
		err = a.groups.setStatus(c.Context(), g.ID, status, c.Event("group", g.ID, g.ProjectID))
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

// replicate: no group is replicated, and all four calls ask that first.
func (a api) replicate(c *rest.Call) (rest.Reply, error) {
	g, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Reply{}, fault.Invalidf("Invalid group type: Group %s is not a replication group type.", g.ID)
}

// consistencyType is the type of the groups that the older calls are about.
func (a api) consistencyType(ctx context.Context) (*blockstorage.GroupType, error) {
	return a.groups.Types.Resolve(ctx, blockstorage.ConsistencyType)
}
