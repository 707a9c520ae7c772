package snapshots

import (
	"maps"
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
	ruleGet          = "volume:get_snapshot"
	ruleGetAll       = "volume:get_all_snapshots"
	ruleCreate       = "volume:create_snapshot"
	ruleUpdate       = "volume:update_snapshot"
	ruleDelete       = "volume:delete_snapshot"
	ruleExtended     = "volume_extension:extended_snapshot_attributes"
	ruleMetaGet      = "volume:get_snapshot_metadata"
	ruleMetaUpdate   = "volume:update_snapshot_metadata"
	ruleMetaDelete   = "volume:delete_snapshot_metadata"
	ruleResetStatus  = "volume_extension:snapshot_admin_actions:reset_status"
	ruleForceDelete  = "volume_extension:snapshot_admin_actions:force_delete"
	ruleUpdateStatus = "snapshot_extension:snapshot_actions:update_snapshot_status"
	ruleUnmanage     = "snapshot_extension:snapshot_unmanage"
	ruleAll          = "context_is_admin"
)

// Rules are the policy rules of snapshots, with upstream's names and defaults.
func Rules() []policy.Rule {
	return wire.Rules("Snapshots", map[string][]string{
		policy.ProjectReaderOrAdmin: {ruleGet, ruleGetAll, ruleExtended, ruleMetaGet},
		policy.ProjectMemberOrAdmin: {ruleCreate, ruleUpdate, ruleDelete, ruleMetaUpdate, ruleMetaDelete, ruleUpdateStatus},
		policy.Admin:                {ruleResetStatus, ruleForceDelete, ruleUnmanage},
	})
}

// Routes are the operations of snapshots.
func (s *Snapshots) Routes() []rest.Route {
	a := api{s, table(s.store), table(s.store)}
	a.table.Fields = append(a.table.Fields, details...)
	return append(a.metadata().Routes("/v3/snapshots/{id}/metadata"), []rest.Route{
		{Method: "GET", Path: "/v3/snapshots", Rule: ruleGetAll, Handle: func(c *rest.Call) (rest.Reply, error) { return a.list(c, &a.brief) }},
		{Method: "GET", Path: "/v3/snapshots/detail", Rule: ruleGetAll, Handle: func(c *rest.Call) (rest.Reply, error) { return a.list(c, &a.table) }},
		{Method: "POST", Path: "/v3/snapshots", Rule: ruleCreate, Audit: "create", Handle: a.create},
		{Method: "GET", Path: "/v3/snapshots/{id}", Rule: ruleGet, Object: true, Handle: a.table.Read},
		{Method: "PUT", Path: "/v3/snapshots/{id}", Rule: ruleUpdate, Object: true, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: "/v3/snapshots/{id}", Rule: ruleDelete, Object: true, Audit: "delete", Handle: a.remove(false)},
		{Method: "POST", Path: "/v3/snapshots/{id}/action", Actions: map[string]rest.Action{
			"os-reset_status":           {Rule: ruleResetStatus, Audit: "reset_status", Handle: a.resetStatus},
			"os-update_snapshot_status": {Rule: ruleUpdateStatus, Audit: "update_status", Handle: a.updateStatus},
			"os-unmanage":               {Rule: ruleUnmanage, Audit: "unmanage", Handle: a.unmanage},
			"os-force_delete":           {Rule: ruleForceDelete, Audit: "delete", Handle: a.remove(true)},
		}},
	}...)
}

type api struct {
	snapshots *Snapshots
	table     rest.Resource[snapshot]
	brief     rest.Resource[snapshot]
}

func (a api) list(c *rest.Call, t *rest.Resource[snapshot]) (rest.Reply, error) {
	return wire.List(c, t, wire.Scope(c, ruleAll), blockstorage.SnapshotNotFound, true)
}

func (a api) create(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Snapshot struct {
			Volume             rest.Opt[string]            `json:"volume_id" v:"required,max=36"`
			Name               rest.Opt[string]            `json:"name" v:"max=255"`
			DisplayName        rest.Opt[string]            `json:"display_name" v:"max=255"`
			Description        rest.Opt[string]            `json:"description" v:"max=65535"`
			DisplayDescription rest.Opt[string]            `json:"display_description" v:"max=65535"`
			Force              rest.Opt[rest.Bool]         `json:"force"`
			Metadata           rest.Opt[map[string]string] `json:"metadata"`
		} `json:"snapshot" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	body := in.Snapshot
	if !body.Name.Set {
		body.Name = body.DisplayName
	}
	if !body.Description.Set {
		body.Description = body.DisplayDescription
	}
	force := bool(body.Force.V)
	if c.At(blockstorage.SnapshotUnforced) {
		if body.Force.Set && !force {
			return rest.Reply{}, fault.Invalidf("Invalid value 'false' for 'force': since microversion 3.66 snapshots of attached volumes need no force.")
		}
		force = true
	}
	if err := blockstorage.CheckMetadata(body.Metadata.V); err != nil {
		return rest.Reply{}, err
	}
	v, err := a.snapshots.volumes.Get(c.Context(), body.Volume.V)
	if err == nil && !c.Allow(ruleGet, policy.Target{"project_id": v.ProjectID}) {
		err = blockstorage.VolumeNotFound(body.Volume.V)
	}
	if err != nil {
		return rest.Reply{}, err
	}
	sn := &snapshot{ID: id.New(), ProjectID: v.ProjectID, UserID: c.Auth.UserID, VolumeID: v.ID, Name: strings.TrimSpace(body.Name.V),
		NoName: !body.Name.Set || body.Name.Null, Description: body.Description.V, NoDescribed: !body.Description.Set || body.Description.Null,
		Metadata: filled(body.Metadata.V)}
	if err := a.snapshots.create(c.Context(), sn, force, c.Event("snapshot", sn.ID, sn.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(a.brief.Body(c, sn))
}

func (a api) update(c *rest.Call) (rest.Reply, error) {
	sn, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Snapshot struct {
			Name               rest.Opt[string] `json:"name" v:"max=255"`
			DisplayName        rest.Opt[string] `json:"display_name" v:"max=255"`
			Description        rest.Opt[string] `json:"description" v:"max=65535"`
			DisplayDescription rest.Opt[string] `json:"display_description" v:"max=65535"`
		} `json:"snapshot" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	name, text := in.Snapshot.Name, in.Snapshot.Description
	if !name.Set {
		name = in.Snapshot.DisplayName
	}
	if !text.Set {
		text = in.Snapshot.DisplayDescription
	}
	sn, err = a.snapshots.change(c.Context(), sn.ID, c.Event("snapshot", sn.ID, sn.ProjectID), func(sn *snapshot) error {
		if name.Set {
			sn.Name, sn.NoName = strings.TrimSpace(name.V), name.Null
		}
		if text.Set {
			sn.Description, sn.NoDescribed = text.V, text.Null
		}
		return nil
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.brief.Body(c, sn))
}

func (a api) remove(force bool) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		sn, err := a.table.Find(c, c.Var("id"))
		if err != nil {
			return rest.Reply{}, err
		}
		if err := a.snapshots.drop(c.Context(), sn.ID, force, c.Event("snapshot", sn.ID, sn.ProjectID)); err != nil {
			return rest.Reply{}, err
		}
		return rest.Accepted(nil)
	}
}

// metadata are those of snapshots.
func (a api) metadata() wire.Metadata {
	return wire.Metadata{Noun: "Snapshot", Get: ruleMetaGet, Create: ruleMetaUpdate, Update: ruleMetaUpdate, Delete: ruleMetaDelete,
		Show: func(c *rest.Call) (map[string]string, error) {
			sn, err := a.table.Find(c, c.Var("id"))
			if err != nil {
				return nil, err
			}
			return sn.Metadata, nil
		},
		Change: func(c *rest.Call, f func(map[string]string) error) error {
			sn, err := a.table.Find(c, c.Var("id"))
			if err != nil {
				return err
			}
			_, err = a.snapshots.change(c.Context(), sn.ID, c.Event("snapshot", sn.ID, sn.ProjectID), func(sn *snapshot) error {
				sn.Metadata = maps.Clone(sn.Metadata)
				return f(sn.Metadata)
			})
			return err
		}}
}

func (a api) resetStatus(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Status string `json:"status" v:"required"`
	}
	return a.statusTo(c, &in, func() (string, string) { return in.Status, "" }, blockstorage.SnapshotResettable)
}

func (a api) updateStatus(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Status   string           `json:"status" v:"required"`
		Progress rest.Opt[string] `json:"progress"`
	}
	return a.statusTo(c, &in, func() (string, string) { return in.Status, in.Progress.V }, []string{"creating", "available", "deleting", "error"})
}

func (a api) statusTo(c *rest.Call, in any, what func() (status, progress string), allowed []string) (rest.Reply, error) {
	sn, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	if err := c.Decode(in); err != nil {
		return rest.Reply{}, err
	}
	status, progress := what()
	if !slices.Contains(allowed, status) {
		return rest.Reply{}, fault.Invalidf("Invalid input for field/attribute status. Value: %s. '%s' is not one of the statuses of a snapshot", status, status)
	}
	_, err = a.snapshots.change(c.Context(), sn.ID, c.Event("snapshot", sn.ID, sn.ProjectID), func(sn *snapshot) error {
		if sn.Status = blockstorage.SnapshotStatus(status); progress != "" {
			sn.Progress = progress
		}
		blockstorage.NoteReset(&sn.Error, status)
		return nil
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

// ViewSnapshot is a snapshot as its creation answers it.
func (s *Snapshots) ViewSnapshot(c *rest.Call, sn *snapshot) map[string]any {
	t := table(s.store)
	return t.View(c, sn)
}

// unmanage forgets a snapshot; its host keeps the data.
func (a api) unmanage(c *rest.Call) (rest.Reply, error) {
	sn, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.snapshots.unmanage(c.Context(), sn.ID, c.Event("snapshot", sn.ID, sn.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}
