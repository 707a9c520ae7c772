package backups

import (
	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/rest"
)

// exportRecord tells all that is needed to find a backup again in its store.
func (a api) exportRecord(c *rest.Call) (rest.Reply, error) {
	b, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	if b.Status != blockstorage.BackupAvailable {
		return rest.Reply{}, blockstorage.InvalidBackup("Backup status must be available and not %s.", b.Status)
	}
	url, err := export(b)
	if err != nil {
		return rest.Reply{}, fault.Internalf("encode a backup's record: %w", err)
	}
	return rest.OK(map[string]any{"backup-record": map[string]string{"backup_service": b.Service, "backup_url": url}})
}

// importRecord makes a backup known that is in the store already. It belongs
// to the caller's project.
func (a api) importRecord(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Record struct {
			Service string `json:"backup_service" v:"required,min=1,max=255"`
			URL     string `json:"backup_url" v:"required,min=1"`
		} `json:"backup-record" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if in.Record.Service != a.backups.Archive.Name() {
		return rest.Reply{}, fault.Unavailablef("Service %s could not be found.", in.Record.Service)
	}
	b, err := parse(in.Record.URL)
	if err != nil {
		return rest.Reply{}, err
	}
	b.ProjectID, b.UserID, b.Service = c.Auth.ProjectID, c.Auth.UserID, in.Record.Service
	if b.Zone == "" {
		b.Zone = blockstorage.Zone
	}
	if err := a.backups.admit(c.Context(), b, c.Event("backup", b.ID, b.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Created(a.brief.Body(c, b))
}
