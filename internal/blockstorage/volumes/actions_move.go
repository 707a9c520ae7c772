package volumes

import (
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/rest"
)

// migrate moves a volume to another host.
func (a api) migrate(c *rest.Call) (rest.Reply, error) {
	v, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Host    rest.Opt[string]    `json:"host" v:"max=255"`
		Copy    rest.Opt[rest.Bool] `json:"force_host_copy"`
		Lock    rest.Opt[rest.Bool] `json:"lock_volume"`
		Cluster rest.Opt[string]    `json:"cluster" since:"3.16" v:"max=255"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	switch {
	case in.Host.V != "" && in.Cluster.V != "":
		return rest.Reply{}, fault.Invalidf("Invalid input received: Must specify host or cluster, but not both.")
	case in.Cluster.V != "":
		return rest.Reply{}, fault.Invalidf("Invalid host: No available service named '%s'", in.Cluster.V)
	case in.Host.V == "":
		return rest.Reply{}, fault.Invalidf("Invalid input received: Must specify host or cluster, but not both.")
	}
	if err := a.volumes.beginMigration(c.Context(), v.ID, in.Host.V, bool(in.Lock.V), c.Event("volume", v.ID, v.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

// migrated is how another service ends a migration that it took part in. Ours
// end by themselves; two volumes that are not migrating change places of their
// attachments, as upstream does it.
func (a api) migrated(c *rest.Call) (rest.Reply, error) {
	v, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		New   string              `json:"new_volume" v:"required,uuid"`
		Error rest.Opt[rest.Bool] `json:"error"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	other, err := a.table.Find(c, in.New)
	if err != nil {
		return rest.Reply{}, err
	}
	switch {
	case v.Migration == "" && other.Migration == "" && len(v.Attachments) > 0 && !bool(in.Error.V):
		return rest.Reply{}, fault.New(fault.NotImplemented, "Attached volumes do not change places.")
	case v.Migration == "" && other.Migration == "":
		return rest.OK(map[string]any{"save_volume_id": other.ID})
	case v.Migration == "":
		return rest.Reply{}, blockstorage.InvalidVolume("Source volume not mid-migration.")
	case other.Migration == "":
		return rest.Reply{}, blockstorage.InvalidVolume("Destination volume not mid-migration.")
	}
	return rest.Reply{}, blockstorage.InvalidVolume("Destination has migration_status %s, expected target:%s.", other.Migration, v.ID)
}

// unmanage forgets a volume; its host keeps the data.
func (a api) unmanage(c *rest.Call) (rest.Reply, error) {
	v, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	if p := strings.TrimSpace(string(c.Payload())); p != "null" && p != "{}" && p != "" {
		return rest.Reply{}, fault.Invalidf("Invalid input for field/attribute os-unmanage. Value: %s. It takes no members", p)
	}
	record := c.Event("volume", v.ID, v.ProjectID)
	err = a.volumes.DB.Write(c.Context(), func(tx *db.Tx) error {
		if err := a.volumes.unmanage(c.Context(), tx, v.ID); err != nil {
			return err
		}
		return outbox.Write(c.Context(), tx, record)
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}
