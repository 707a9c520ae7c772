package backups

import (
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
	ruleGetAll  = "backup:get_all"
	ruleGet     = "backup:get"
	ruleCreate  = "backup:create"
	ruleUpdate  = "backup:update"
	ruleDelete  = "backup:delete"
	ruleRestore = "backup:restore"
	ruleImport  = "backup:backup-import"
	ruleExport  = "backup:export-import"
	ruleProject = "backup:backup_project_attribute"
	ruleReset   = "volume_extension:backup_admin_actions:reset_status"
	ruleForce   = "volume_extension:backup_admin_actions:force_delete"
)

// Rules are the policy rules of backups, with upstream's names and defaults.
func Rules() []policy.Rule {
	return wire.Rules("Backups", map[string][]string{
		policy.ProjectReaderOrAdmin: {ruleGetAll, ruleGet},
		policy.ProjectMemberOrAdmin: {ruleCreate, ruleUpdate, ruleDelete, ruleRestore},
		policy.Admin:                {ruleImport, ruleExport, ruleProject, ruleReset, ruleForce},
	})
}

// Routes are the operations of backups.
func (s *Backups) Routes() []rest.Route {
	a := api{s, table(s.Store), brief(s.Store)}
	const one = "/v3/backups/{id}"
	return []rest.Route{
		{Method: "GET", Path: "/v3/backups", Rule: ruleGetAll, Handle: func(c *rest.Call) (rest.Reply, error) { return a.list(c, &a.brief) }},
		{Method: "GET", Path: "/v3/backups/detail", Rule: ruleGetAll, Handle: func(c *rest.Call) (rest.Reply, error) { return a.list(c, &a.table) }},
		{Method: "POST", Path: "/v3/backups", Rule: ruleCreate, Audit: "create", Handle: a.create},
		{Method: "POST", Path: "/v3/backups/import_record", Rule: ruleImport, Audit: "import", Handle: a.importRecord},
		{Method: "GET", Path: one, Rule: ruleGet, Object: true, Handle: a.table.Read},
		{Method: "PUT", Path: one, Rule: ruleUpdate, Object: true, Since: blockstorage.BackupUpdate, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: one, Rule: ruleDelete, Object: true, Audit: "delete", Handle: a.remove(false)},
		{Method: "POST", Path: one + "/restore", Rule: ruleRestore, Object: true, Audit: "restore", Handle: a.restore},
		{Method: "GET", Path: one + "/export_record", Rule: ruleExport, Object: true, Handle: a.exportRecord},
		{Method: "POST", Path: one + "/action", Actions: map[string]rest.Action{
			"os-reset_status": {Rule: ruleReset, Audit: "reset_status", Handle: a.reset},
			"os-force_delete": {Rule: ruleForce, Audit: "delete", Handle: a.remove(true)},
		}},
	}
}

type api struct {
	backups *Backups
	table   rest.Resource[backup]
	brief   rest.Resource[backup]
}

func (a api) list(c *rest.Call, t *rest.Resource[backup]) (rest.Reply, error) {
	return wire.List(c, t, wire.Scope(c, ruleProject), blockstorage.BackupNotFound, true)
}

func (a api) create(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Backup struct {
			Volume      string                      `json:"volume_id" v:"required,uuid"`
			Snapshot    rest.Opt[string]            `json:"snapshot_id" v:"uuid"`
			Name        rest.Opt[string]            `json:"name" v:"max=255"`
			Description rest.Opt[string]            `json:"description" v:"max=255"`
			Container   rest.Opt[string]            `json:"container" v:"max=255"`
			Incremental rest.Opt[rest.Bool]         `json:"incremental"`
			Force       rest.Opt[rest.Bool]         `json:"force"`
			Metadata    rest.Opt[map[string]string] `json:"metadata" since:"3.43"`
			Zone        rest.Opt[string]            `json:"availability_zone" since:"3.51" v:"max=255"`
		} `json:"backup" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	body := in.Backup
	if err := blockstorage.CheckMetadata(body.Metadata.V); err != nil {
		return rest.Reply{}, err
	}
	if body.Zone.V != "" && body.Zone.V != blockstorage.Zone {
		return rest.Reply{}, fault.Unavailablef("Service cinder-backup could not be found in availability zone %s.", body.Zone.V)
	}
	v, err := a.backups.Volumes.Get(c.Context(), body.Volume)
	if err == nil && !c.Allow(ruleGet, policy.Target{"project_id": v.ProjectID}) {
		err = blockstorage.VolumeNotFound(body.Volume)
	}
	if err != nil {
		return rest.Reply{}, err
	}
	b := &backup{ID: id.New(), ProjectID: c.Auth.ProjectID, UserID: c.Auth.UserID, Name: strings.TrimSpace(body.Name.V), NoName: !body.Name.Set || body.Name.Null,
		Description: strings.TrimSpace(body.Description.V), NoDescribed: !body.Description.Set || body.Description.Null, VolumeID: v.ID,
		SnapshotID: body.Snapshot.V, Container: body.Container.V, Zone: body.Zone.V, Metadata: body.Metadata.V}
	if err := a.backups.create(c.Context(), b, bool(body.Force.V), bool(body.Incremental.V), c.Event("backup", b.ID, b.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(a.brief.Body(c, b))
}

func (a api) update(c *rest.Call) (rest.Reply, error) {
	b, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Backup struct {
			Name        rest.Opt[string]            `json:"name" v:"max=255"`
			Description rest.Opt[string]            `json:"description" v:"max=255"`
			Metadata    rest.Opt[map[string]string] `json:"metadata" since:"3.43"`
		} `json:"backup" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	name, text, meta := in.Backup.Name, in.Backup.Description, in.Backup.Metadata
	if err := blockstorage.CheckMetadata(meta.V); err != nil {
		return rest.Reply{}, err
	}
	b, err = a.backups.change(c.Context(), b.ID, c.Event("backup", b.ID, b.ProjectID), func(b *backup) error {
		if name.Set {
			b.Name, b.NoName = strings.TrimSpace(name.V), name.Null
		}
		if text.Set {
			b.Description, b.NoDescribed = strings.TrimSpace(text.V), text.Null
		}
		if meta.Set && !meta.Null {
			b.Metadata = meta.V
		}
		return nil
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.brief.Body(c, b))
}

func (a api) remove(force bool) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		b, err := a.table.Find(c, c.Var("id"))
		if err != nil {
			return rest.Reply{}, err
		}
		if err := a.backups.drop(c.Context(), b.ID, force, c.Event("backup", b.ID, b.ProjectID)); err != nil {
			return rest.Reply{}, err
		}
		return rest.Accepted(nil)
	}
}

func (a api) restore(c *rest.Call) (rest.Reply, error) {
	b, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Restore rest.Opt[struct {
			Volume rest.Opt[string] `json:"volume_id" v:"uuid"`
			Name   rest.Opt[string] `json:"name" v:"max=255"`
		}] `json:"restore" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	to := in.Restore.V
	fresh := to.Volume.V == ""
	v := &blockstorage.Volume{ID: id.New(), ProjectID: c.Auth.ProjectID, UserID: c.Auth.UserID, Name: to.Name.Or("restore_backup_" + b.ID),
		Description: "auto-created_from_restore_from_backup"}
	if !fresh {
		v, err = a.backups.Volumes.Get(c.Context(), to.Volume.V)
		if err == nil && !c.Allow(ruleRestore, policy.Target{"project_id": v.ProjectID}) {
			err = blockstorage.VolumeNotFound(to.Volume.V)
		}
		if err != nil {
			return rest.Reply{}, err
		}
	}
	viewer := blockstorage.Viewer{ProjectID: c.Auth.ProjectID, UserID: c.Auth.UserID, Admin: c.Allow(ruleProject, c.Caller())}
	v, err = a.backups.restore(c.Context(), b, v, fresh, viewer, c.Event("volume", v.ID, v.ProjectID))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(map[string]any{"restore": map[string]any{"backup_id": b.ID, "volume_id": v.ID, "volume_name": blockstorage.OrNull(v.Name, v.NoName)}})
}

// resettable are the statuses that os-reset_status writes: upstream takes no others.
var resettable = []string{"available", "error"}

func (a api) reset(c *rest.Call) (rest.Reply, error) {
	b, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Status string `json:"status" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if !slices.Contains(resettable, in.Status) {
		return rest.Reply{}, fault.Invalidf("Invalid input for field/attribute status. Value: %s. '%s' is not one of ['available', 'error']", in.Status, in.Status)
	}
	_, err = a.backups.change(c.Context(), b.ID, c.Event("backup", b.ID, b.ProjectID), func(b *backup) error {
		b.Status = blockstorage.BackupStatus(in.Status)
		blockstorage.NoteReset(&b.Error, in.Status)
		return nil
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}
