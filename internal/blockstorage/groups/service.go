package groups

import (
	"context"
	"slices"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/task"
)

// Volumes is what groups need of volumes, beyond the contract.
type Volumes interface {
	blockstorage.Volumes
	InGroup(ctx context.Context, q db.Querier, group string) ([]*blockstorage.Volume, error)
	// Grouped lists the ids of all volumes that belong to groups, by group.
	Grouped(ctx context.Context) (map[string][]string, error)
	// DropGrouped begins to delete a volume together with its group.
	DropGrouped(ctx context.Context, tx *db.Tx, id string, record event.Record) error
	// Draft checks a volume and gives what records it as a member of a group.
	Draft(ctx context.Context, v *blockstorage.Volume, viewer blockstorage.Viewer) (func(context.Context, *db.Tx, string, event.Record) error, error)
}

// Snapshots is what groups need of snapshots.
type Snapshots interface {
	CreateIn(ctx context.Context, tx *db.Tx, s *blockstorage.Snapshot, force bool, record event.Record) error
	DropIn(ctx context.Context, tx *db.Tx, id string, force, withGroup bool, record event.Record) error
	OfGroup(ctx context.Context, q db.Querier, groupSnapshot string) ([]*blockstorage.Snapshot, error)
}

// Types finds group types.
type Types interface {
	Resolve(ctx context.Context, word string) (*blockstorage.GroupType, error)
}

// Config is what the service works with.
type Config struct {
	Store       *Store
	Tasks       *task.Engine
	Volumes     Volumes
	Snapshots   Snapshots
	Types       Types
	VolumeTypes blockstorage.Types
}

// Groups is the service behind the API. Safe for concurrent use.
type Groups struct {
	Config
	make           *task.Handle[params]
	remove         *task.Handle[params]
	makeSnapshot   *task.Handle[params]
	removeSnapshot *task.Handle[params]
}

// New makes the service and registers its sagas.
func New(cfg Config) *Groups {
	s := &Groups{Config: cfg}
	s.make = task.Register(cfg.Tasks, s.makeSaga())
	s.remove = task.Register(cfg.Tasks, s.removeSaga())
	s.makeSnapshot = task.Register(cfg.Tasks, s.makeSnapshotSaga())
	s.removeSnapshot = task.Register(cfg.Tasks, s.removeSnapshotSaga())
	return s
}

func work(object, project string, record event.Record) task.Work {
	return task.Work{Object: object, ProjectID: project, UserID: record.UserID, RequestID: record.RequestID}
}

// write runs f in a transaction with an audit record.
func (s *Groups) write(ctx context.Context, record event.Record, f func(tx *db.Tx) error) error {
	return s.Store.db.Write(ctx, func(tx *db.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}

// typed completes a group by its type and the types of its volumes.
func (s *Groups) typed(ctx context.Context, g *group, typeWord string, volumeTypes []string, viewer blockstorage.Viewer) error {
	t, err := s.Types.Resolve(ctx, typeWord)
	if fault.Is(err, fault.NotFound) {
		return fault.NotFoundf("Group type %s could not be found.", typeWord)
	}
	if err != nil {
		return err
	}
	if t.Replicated() {
		return fault.Invalidf("Invalid group type: no host keeps volumes twice, as groups of type %s must be.", t.Name)
	}
	g.TypeID, g.VolumeTypes = t.ID, nil
	for _, word := range volumeTypes {
		vt, err := s.VolumeTypes.Resolve(ctx, word, viewer.ProjectID, viewer.Admin)
		if err != nil {
			return err
		}
		if !slices.Contains(g.VolumeTypes, vt.ID) {
			g.VolumeTypes = append(g.VolumeTypes, vt.ID)
		}
	}
	if g.Zone != "" && g.Zone != blockstorage.Zone {
		return fault.Invalidf("Invalid input received: Availability zone '%s' is invalid.", g.Zone)
	}
	g.Zone = blockstorage.Zone
	return nil
}

// create records a group. There is nothing to be made anywhere.
func (s *Groups) create(ctx context.Context, g *group, record event.Record) error {
	g.Status, g.CreatedAt = blockstorage.GroupAvailable, s.Store.now()
	return s.write(ctx, record, func(tx *db.Tx) error {
		if err := s.Volumes.CheckQuota(ctx, tx, g.ProjectID, map[string]int64{"groups": 1}); err != nil {
			return err
		}
		return rows.Insert(ctx, tx, toRow(g))
	})
}

// copyOf begins to make a group with volumes made from those of another group
// or from a group snapshot.
func (s *Groups) copyOf(ctx context.Context, g *group, viewer blockstorage.Viewer, record event.Record) error {
	members, err := s.sources(ctx, g, viewer)
	if err != nil {
		return err
	}
	var drafts []func(context.Context, *db.Tx, string, event.Record) error
	for _, m := range members {
		m.ID, m.ProjectID, m.UserID = id.New(), g.ProjectID, g.UserID
		d, err := s.Volumes.Draft(ctx, m, viewer)
		if err != nil {
			return err
		}
		drafts = append(drafts, d)
	}
	g.Status, g.CreatedAt = blockstorage.GroupCreating, s.Store.now()
	each := event.Record{Service: record.Service, Action: "create", Kind: "volume", UserID: record.UserID, RequestID: record.RequestID}
	return s.write(ctx, record, func(tx *db.Tx) error {
		if err := s.Volumes.CheckQuota(ctx, tx, g.ProjectID, map[string]int64{"groups": 1}); err != nil {
			return err
		}
		if err := rows.Insert(ctx, tx, toRow(g)); err != nil {
			return err
		}
		for _, d := range drafts {
			if err := d(ctx, tx, g.ID, each); err != nil {
				return err
			}
		}
		_, err := s.make.Enqueue(ctx, tx, work(g.ID, g.ProjectID, record), params{ID: g.ID})
		return err
	})
}

// sources are the volumes that a copy of a group gets, and its type.
func (s *Groups) sources(ctx context.Context, g *group, viewer blockstorage.Viewer) ([]*blockstorage.Volume, error) {
	var out []*blockstorage.Volume
	from := g.FromGroup
	if g.FromSnapshot != "" {
		sn, err := s.visibleSnapshot(ctx, g.FromSnapshot, viewer)
		if err != nil {
			return nil, err
		}
		if sn.Status != blockstorage.GroupAvailable {
			return nil, fault.Invalidf("Invalid GroupSnapshot: status must be available, but is %s.", sn.Status)
		}
		list, err := s.Snapshots.OfGroup(ctx, s.Store.db, sn.ID)
		if err != nil {
			return nil, err
		}
		for _, one := range list {
			out = append(out, &blockstorage.Volume{SizeGiB: one.SizeGiB, Name: one.Name, NoName: one.NoName, NoDescribed: true, Source: blockstorage.Source{SnapshotID: one.ID}})
		}
		from = sn.GroupID
	}
	source, err := s.visible(ctx, from, viewer)
	if err != nil {
		return nil, err
	}
	g.TypeID, g.VolumeTypes, g.Zone = source.TypeID, source.VolumeTypes, source.Zone
	if g.FromSnapshot == "" {
		list, err := s.Volumes.InGroup(ctx, s.Store.db, source.ID)
		if err != nil {
			return nil, err
		}
		for _, one := range list {
			out = append(out, &blockstorage.Volume{SizeGiB: one.SizeGiB, Name: one.Name, NoName: one.NoName, NoDescribed: true, Source: blockstorage.Source{VolumeID: one.ID}})
		}
	}
	if len(out) == 0 {
		return nil, blockstorage.InvalidGroup("Source group is empty. No group will be created.")
	}
	return out, nil
}

func (s *Groups) visible(ctx context.Context, id string, viewer blockstorage.Viewer) (*group, error) {
	g, err := s.Store.Get(ctx, id)
	if err == nil && !viewer.Admin && g.ProjectID != viewer.ProjectID {
		err = blockstorage.GroupNotFound(id)
	}
	return g, err
}

func (s *Groups) visibleSnapshot(ctx context.Context, id string, viewer blockstorage.Viewer) (*snapshot, error) {
	sn, err := snapshotStore{s.Store}.Get(ctx, id)
	if err == nil && !viewer.Admin && sn.ProjectID != viewer.ProjectID {
		err = blockstorage.GroupSnapshotNotFound(id)
	}
	return sn, err
}

// changes are what a user may change of a group; nil leaves as it is.
type changes struct {
	name, description *string
	add, remove       []string // volumes
}

// update changes a group and its members at once.
func (s *Groups) update(ctx context.Context, id string, c changes, record event.Record) error {
	return s.write(ctx, record, func(tx *db.Tx) error {
		g, err := s.Store.change(ctx, tx, id, func(g *group) error {
			if g.Status != blockstorage.GroupAvailable {
				return blockstorage.InvalidGroup("Group status must be available, but current status is %s.", g.Status)
			}
			if c.name != nil {
				g.Name, g.NoName = *c.name, false
			}
			if c.description != nil {
				g.Description, g.NoDescribed = *c.description, false
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, v := range c.remove {
			if err := s.leave(ctx, tx, g, v); err != nil {
				return err
			}
		}
		for _, v := range c.add {
			if err := s.join(ctx, tx, g, v); err != nil {
				return err
			}
		}
		return nil
	})
}

// settled are the statuses in which a volume joins or leaves a group.
var settled = []blockstorage.VolumeStatus{blockstorage.Available, blockstorage.InUse, blockstorage.Error}

func (s *Groups) leave(ctx context.Context, tx *db.Tx, g *group, volume string) error {
	_, err := s.Volumes.Change(ctx, tx, volume, func(v *blockstorage.Volume) error {
		if v.GroupID != g.ID {
			return blockstorage.InvalidVolume("Cannot remove volume %s from group %s because it is not in the group.", volume, g.ID)
		}
		if !slices.Contains(settled, v.Status) {
			return blockstorage.InvalidVolume("Cannot remove volume %s from group %s because volume is in an invalid state: %s.", volume, g.ID, v.Status)
		}
		v.GroupID = ""
		return nil
	})
	if fault.Is(err, fault.NotFound) {
		return blockstorage.InvalidVolume("Cannot remove volume %s from group %s because it is not in the group.", volume, g.ID)
	}
	return err
}

func (s *Groups) join(ctx context.Context, tx *db.Tx, g *group, volume string) error {
	_, err := s.Volumes.Change(ctx, tx, volume, func(v *blockstorage.Volume) error {
		switch {
		case v.ProjectID != g.ProjectID:
			return blockstorage.VolumeNotFound(volume)
		case v.GroupID == g.ID:
			return blockstorage.InvalidVolume("Volume %s is already part of group %s.", volume, g.ID)
		case v.GroupID != "":
			return blockstorage.InvalidVolume("Cannot add volume %s to group %s because it is already in another group.", volume, g.ID)
		case !slices.Contains(g.VolumeTypes, v.TypeID):
			return blockstorage.InvalidVolume("Cannot add volume %s to group %s as its volume type is not supported by the group.", volume, g.ID)
		case !slices.Contains(settled[:2], v.Status):
			return blockstorage.InvalidVolume("Cannot add volume %s to group %s because volume is in an invalid state: %s.", volume, g.ID, v.Status)
		}
		v.GroupID = g.ID
		return nil
	})
	if fault.Is(err, fault.NotFound) {
		return blockstorage.InvalidVolume("Cannot add volume %s to group %s because volume cannot be found.", volume, g.ID)
	}
	return err
}

// drop begins to delete a group, with its volumes if that is asked for.
func (s *Groups) drop(ctx context.Context, id string, withVolumes bool, record event.Record) error {
	each := event.Record{Service: record.Service, Action: "delete", Kind: "volume", UserID: record.UserID, RequestID: record.RequestID}
	return s.write(ctx, record, func(tx *db.Tx) error {
		members, err := s.Volumes.InGroup(ctx, tx, id)
		if err != nil {
			return err
		}
		taken, err := snapshotsOf(ctx, tx, id)
		if err != nil {
			return err
		}
		g, err := s.Store.change(ctx, tx, id, func(g *group) error {
			switch {
			case !withVolumes && len(members) > 0:
				return blockstorage.InvalidGroup("Group %s still contains volumes. The delete-volumes flag is required to delete it.", id)
			case taken > 0:
				return blockstorage.InvalidGroup("Group %s has dependent group snapshots.", id)
			}
			g.Status = blockstorage.GroupDeleting
			return nil
		})
		if err != nil {
			return err
		}
		for _, v := range members {
			if err := s.Volumes.DropGrouped(ctx, tx, v.ID, each); err != nil {
				return err
			}
		}
		w := work(id, g.ProjectID, record)
		w.Preempt = true
		_, err = s.remove.Enqueue(ctx, tx, w, params{ID: id})
		return err
	})
}

// setStatus writes a status over the one that a group has.
func (s *Groups) setStatus(ctx context.Context, id string, status blockstorage.GroupStatus, record event.Record) error {
	return s.write(ctx, record, func(tx *db.Tx) error {
		_, err := s.Store.change(ctx, tx, id, func(g *group) error {
			g.Status = status
			blockstorage.NoteReset(&g.Error, string(status))
			return nil
		})
		return err
	})
}

func (s *Groups) setSnapshotStatus(ctx context.Context, id string, status blockstorage.GroupStatus, record event.Record) error {
	return s.write(ctx, record, func(tx *db.Tx) error {
		_, err := s.Store.changeSnapshot(ctx, tx, id, func(sn *snapshot) error {
			sn.Status = status
			blockstorage.NoteReset(&sn.Error, string(status))
			return nil
		})
		return err
	})
}
