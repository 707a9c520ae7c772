package volumes

import (
	"context"
	"maps"
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/quota"
	"github.com/mekcloud/mek/internal/task"
)

// Doors tells which hosts get no new volumes.
type Doors interface {
	Closed(ctx context.Context) (map[string]string, error)
}

// Config is what the service works with. Servers may be nil.
type Config struct {
	DB          *db.DB
	Clock       clock.Clock
	Tasks       *task.Engine
	Hosts       Hosts
	Types       blockstorage.Types
	Snapshots   blockstorage.Snapshots
	Attachments blockstorage.Attachments
	Quota       *quota.Quota
	Images      image.Service
	Messages    blockstorage.Messages
	Doors       Doors
	Servers     blockstorage.Servers
	Backups     blockstorage.Backups
	Relics      blockstorage.Relics
	Groups      blockstorage.Groups
	Converter   Converter // nil: volumes are uploaded as raw images only
	Scratch     string    // directory of passing files of conversions
}

// Volumes is the service behind the API. Safe for concurrent use.
type Volumes struct {
	Config
	store  store
	make   *task.Handle[volumeParams]
	remove *task.Handle[removeParams]
	grow   *task.Handle[growParams]
	upload *task.Handle[uploadParams]
	write  *task.Handle[rewriteParams]
	move   *task.Handle[migrateParams]
}

var _ blockstorage.Volumes = (*Volumes)(nil)

// New makes the service and registers its sagas.
func New(cfg Config) *Volumes {
	s := &Volumes{Config: cfg, store: store{cfg.DB, cfg.Attachments, cfg.Types}}
	s.make = task.Register(cfg.Tasks, s.makeSaga())
	s.remove = task.Register(cfg.Tasks, s.removeSaga())
	s.grow = task.Register(cfg.Tasks, s.growSaga())
	s.upload = task.Register(cfg.Tasks, s.uploadSaga())
	s.write = task.Register(cfg.Tasks, s.rewriteSaga())
	s.move = task.Register(cfg.Tasks, s.migrateSaga())
	return s
}

func (s *Volumes) now() int64 { return clock.Micros(s.Clock.Now()) }

// Get loads a volume with its attachments.
func (s *Volumes) Get(ctx context.Context, id string) (*blockstorage.Volume, error) {
	return s.store.Get(ctx, id)
}

// Change loads a volume inside a transaction, lets f change it and writes it.
func (s *Volumes) Change(ctx context.Context, tx *db.Tx, id string, f func(v *blockstorage.Volume) error) (*blockstorage.Volume, error) {
	v, err := s.store.lock(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	before := *v
	before.Metadata, before.ImageMeta = maps.Clone(v.Metadata), maps.Clone(v.ImageMeta)
	if err := f(v); err != nil {
		return nil, err
	}
	v.UpdatedAt = s.now()
	return v, s.store.update(ctx, tx, &before, v)
}

// change is Change in a transaction of its own, with an audit record.
func (s *Volumes) change(ctx context.Context, id string, record event.Record, f func(v *blockstorage.Volume) error) (*blockstorage.Volume, error) {
	var out *blockstorage.Volume
	err := s.DB.Write(ctx, func(tx *db.Tx) (err error) {
		if out, err = s.Change(ctx, tx, id, f); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
	if err != nil {
		return nil, err
	}
	return out, s.store.complete(ctx, out)
}

// CheckQuota refuses what a project may not have, in the words of this service.
func (s *Volumes) CheckQuota(ctx context.Context, tx *db.Tx, project string, deltas map[string]int64) error {
	return quotaWords(s.Quota.Check(ctx, tx, project, deltas))
}

// quotaWords is upstream's wording of a reached limit.
func quotaWords(err error) error {
	if !fault.Is(err, fault.OverQuota) {
		return err
	}
	f := fault.As(err)
	limit, used, more := f.Detail["limit"], f.Detail["used"], f.Detail["requested"]
	name, _ := f.Detail["resource"].(string) // quota.Check puts it there
	kind, _, _ := strings.Cut(name, "_")
	if kind == "backup" || kind == "per" {
		kind = name
	}
	switch kind {
	case "volumes":
		f.Text = fault.OverQuotaf("Maximum number of volumes allowed (%v) exceeded for quota '%s'.", limit, name).Text
		f.Code = "VolumeLimitExceeded"
	case "groups":
		f.Text = fault.OverQuotaf("Maximum number of groups allowed (%v) exceeded.", limit).Text
		f.Code = "GroupLimitExceeded"
	case "backups":
		f.Text = fault.OverQuotaf("Maximum number of backups allowed (%v) exceeded", limit).Text
		f.Code = "BackupLimitExceeded"
	case "backup_gigabytes":
		f.Text = fault.OverQuotaf("Requested backup exceeds allowed Backup gigabytes quota. Requested %vG, quota is %vG and %vG has been consumed.", more, limit, used).Text
		f.Code = "VolumeBackupSizeExceedsAvailableQuota"
	case "snapshots":
		f.Text = fault.OverQuotaf("Maximum number of snapshots allowed (%v) exceeded", limit).Text
		f.Code = "SnapshotLimitExceeded"
	case "per_volume_gigabytes":
		f.Text = fault.OverQuotaf("Requested volume size %vG is larger than maximum allowed limit %vG.", more, limit).Text
		f.Code = "VolumeSizeExceedsLimit"
	default:
		f.Text = fault.OverQuotaf("Requested volume or snapshot exceeds allowed gigabytes quota. Requested %vG, quota is %vG and %vG has been consumed.", more, limit, used).Text
		f.Code = "VolumeSizeExceedsAvailableQuota"
	}
	return err
}

// draft is a volume about to be recorded, with what must be told beside it.
type draft struct {
	blockstorage.Volume
	image *image.Image // when made from one
	hints Hints
}

// create checks a draft, records it and begins to make it. Creating it again
// with the same id and project answers what there is.
func (s *Volumes) create(ctx context.Context, d *draft, record event.Record) (*blockstorage.Volume, error) {
	v := &d.Volume
	err := s.DB.Write(ctx, func(tx *db.Tx) error { return s.insert(ctx, tx, d, record) })
	if fault.Is(err, fault.Conflict) {
		there, gerr := s.store.Get(ctx, v.ID)
		if gerr == nil && there.ProjectID == v.ProjectID {
			return there, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return v, nil // of the type that it was given, and attached to nothing yet
}

// insert is create in a transaction.
func (s *Volumes) insert(ctx context.Context, tx *db.Tx, d *draft, record event.Record) error {
	v := &d.Volume
	v.Status, v.CreatedAt = blockstorage.Creating, s.now()
	if v.Zone == "" {
		v.Zone = blockstorage.Zone
	}
	record.Object, record.ProjectID = v.ID, v.ProjectID
	if err := s.CheckQuota(ctx, tx, v.ProjectID, deltas(v)); err != nil {
		return err
	}
	if err := s.checkSource(ctx, tx, v); err != nil {
		return err
	}
	if err := s.store.insert(ctx, tx, v); err != nil {
		return err
	}
	begin := s.workOn(v, record)
	begin.Fresh = true
	if _, err := s.make.Enqueue(ctx, tx, begin, volumeParams{Volume: v.ID, Host: v.Host, Hints: d.hints}); err != nil {
		return err
	}
	return outbox.Write(ctx, tx, record)
}

// deltas is what a volume adds to its project's usage.
func deltas(v *blockstorage.Volume) map[string]int64 {
	if v.Transient {
		return nil
	}
	out := map[string]int64{"volumes": 1, "gigabytes": v.SizeGiB, "per_volume_gigabytes": v.SizeGiB}
	if v.TypeName != "" {
		out["volumes_"+v.TypeName], out["gigabytes_"+v.TypeName] = 1, v.SizeGiB
	}
	return out
}

// checkSource locks a volume's source and refuses one that cannot be copied now.
func (s *Volumes) checkSource(ctx context.Context, tx *db.Tx, v *blockstorage.Volume) error {
	switch {
	case v.Source.VolumeID != "":
		source, err := s.store.lock(ctx, tx, v.Source.VolumeID)
		if err != nil {
			return err
		}
		if !source.May(blockstorage.ActClone) {
			return blockstorage.InvalidVolume("Volume status must be available or in-use to be cloned, but is %s.", source.Status)
		}
	case v.Source.SnapshotID != "":
		sn, err := s.Snapshots.Get(ctx, v.Source.SnapshotID)
		if err != nil {
			return err
		}
		if sn.Status != blockstorage.SnapshotAvailable {
			return blockstorage.InvalidSnapshot("Originating snapshot status must be one of available values")
		}
	case v.Source.BackupID != "":
		return s.Backups.BeginRestore(ctx, tx, v.Source.BackupID, v.ID)
	}
	return nil
}

func (s *Volumes) workOn(v *blockstorage.Volume, record event.Record) task.Work {
	return task.Work{Object: v.ID, ProjectID: v.ProjectID, UserID: record.UserID, RequestID: record.RequestID}
}

// drop begins to delete a volume.
func (s *Volumes) drop(ctx context.Context, id string, force, cascade bool, record event.Record) error {
	return s.DB.Write(ctx, func(tx *db.Tx) error { return s.dropIn(ctx, tx, id, force, cascade, false, record) })
}

// dropIn is drop in a transaction. A volume of a group goes with its group only.
func (s *Volumes) dropIn(ctx context.Context, tx *db.Tx, id string, force, cascade, withGroup bool, record event.Record) error {
	v, err := s.Change(ctx, tx, id, func(v *blockstorage.Volume) error {
		if v.GroupID != "" && !withGroup && !force {
			return undeletable(force)
		}
		if len(v.Attached()) > 0 || !force && (!v.May(blockstorage.ActDelete) || len(v.Attachments) > 0) {
			return undeletable(force)
		}
		n, err := s.Snapshots.CountOf(ctx, tx, id)
		if err != nil {
			return err
		}
		if n > 0 && !cascade {
			return undeletable(force)
		}
		v.Status, v.Before = blockstorage.Deleting, v.Status
		return nil
	})
	if err != nil {
		return err
	}
	work := s.workOn(v, record)
	work.Preempt = true
	if _, err := s.remove.Enqueue(ctx, tx, work, removeParams{Volume: id}); err != nil {
		return err
	}
	record.Object, record.ProjectID = v.ID, v.ProjectID
	return outbox.Write(ctx, tx, record)
}

func undeletable(force bool) error {
	must := "status must be available or error or error_restoring or error_extending or error_managing and"
	if force {
		must = ""
	}
	return blockstorage.InvalidVolume("Volume %s must not be migrating, attached, belong to a group, have snapshots, awaiting a transfer, or be disassociated from snapshots after volume transfer.", must)
}

// extend begins to grow a volume.
func (s *Volumes) extend(ctx context.Context, id string, size int64, attached bool, record event.Record) error {
	return s.DB.Write(ctx, func(tx *db.Tx) error {
		v, err := s.Change(ctx, tx, id, func(v *blockstorage.Volume) error {
			act := blockstorage.ActExtend
			if attached {
				act = blockstorage.ActExtendAttached
			}
			if !v.May(act) {
				return blockstorage.InvalidVolume("Volume %s status must be '%s' to extend, currently %s.", id, "available", v.Status)
			}
			if size <= v.SizeGiB {
				return fault.Invalidf("Invalid input received: New size for extend must be greater than current size. (current: %d, extended: %d).", v.SizeGiB, size)
			}
			more := map[string]int64{"gigabytes": size - v.SizeGiB, "per_volume_gigabytes": size}
			if v.TypeName != "" {
				more["gigabytes_"+v.TypeName] = size - v.SizeGiB
			}
			if v.Transient {
				more = nil
			}
			if err := s.CheckQuota(ctx, tx, v.ProjectID, more); err != nil {
				return err
			}
			v.Before, v.Status = v.Status, blockstorage.Extending
			return nil
		})
		if err != nil {
			return err
		}
		if _, err := s.grow.Enqueue(ctx, tx, s.workOn(v, record), growParams{Volume: id, SizeGiB: size, Was: v.SizeGiB}); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}

// summary counts and sums volumes.
func (s *Volumes) summary(ctx context.Context, terms ...listing.Term) (count, size int64, metadata map[string][]string, err error) {
	list, err := volumeRows.Find(ctx, s.DB, terms...)
	metadata = map[string][]string{}
	seen := map[[2]string]bool{}
	for _, r := range list {
		count, size = count+1, size+r.Size
		for k, v := range r.Metadata.V {
			if !seen[[2]string{k, v}] {
				seen[[2]string{k, v}] = true
				metadata[k] = append(metadata[k], v)
			}
		}
	}
	return count, size, metadata, err
}
