package volumes

import (
	"context"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/outbox"
)

// Lookup finds a volume of the viewer.
func (s *Volumes) Lookup(ctx context.Context, viewer blockstorage.Viewer, id string) (*blockstorage.Volume, error) {
	v, err := s.store.Get(ctx, id)
	if err == nil && !viewer.Admin && v.ProjectID != viewer.ProjectID {
		err = blockstorage.VolumeNotFound(id)
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// LookupSnapshot finds a snapshot of the viewer.
func (s *Volumes) LookupSnapshot(ctx context.Context, viewer blockstorage.Viewer, id string) (*blockstorage.Snapshot, error) {
	sn, err := s.Snapshots.Get(ctx, id)
	if err == nil && !viewer.Admin && sn.ProjectID != viewer.ProjectID {
		err = blockstorage.SnapshotNotFound(id)
	}
	if err != nil {
		return nil, err
	}
	return sn, nil
}

// Create records a volume for another service.
func (s *Volumes) Create(ctx context.Context, in blockstorage.NewVolume) (*blockstorage.Volume, error) {
	d := &draft{Volume: blockstorage.Volume{ID: in.ID, ProjectID: in.Viewer.ProjectID, UserID: in.Viewer.UserID, Name: in.Name, NoDescribed: true,
		SizeGiB: in.SizeGiB, Zone: in.Zone, Host: in.Host, Transient: in.Transient, Metadata: in.Metadata,
		Source: blockstorage.Source{SnapshotID: in.Snapshot, VolumeID: in.Volume, ImageID: in.ImageID}}}
	if err := s.derive(ctx, d, in.Type, in.Viewer); err != nil {
		return nil, err
	}
	return s.create(ctx, d, event.Record{Service: "block-storage", Action: "create", Kind: "volume", UserID: in.Viewer.UserID})
}

// Ready waits until a volume is made.
func (s *Volumes) Ready(ctx context.Context, id string) (v *blockstorage.Volume, err error) {
	err = s.Tasks.Until(ctx, func() (bool, error) {
		if v, err = s.store.Get(ctx, id); err != nil {
			return false, err
		}
		switch v.Status {
		case blockstorage.Creating, blockstorage.Downloading:
			return false, nil
		case blockstorage.Error, blockstorage.Deleting, blockstorage.ErrorDeleting:
			return false, fault.Conflictf("Volume %s cannot be used: %s", id, orElse(v.Error, "status "+string(v.Status)))
		}
		return true, nil
	})
	switch {
	case err != nil && err == ctx.Err():
		return nil, fault.Unavailablef("Volume %s is still being made.", id).Because(err)
	case err != nil:
		return nil, err
	}
	return v, nil
}

// Discard deletes a volume that no server uses.
func (s *Volumes) Discard(ctx context.Context, id string) error {
	err := s.drop(ctx, id, true, false, event.Record{Service: "block-storage", Action: "delete", Kind: "volume", Object: id})
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// Reserve keeps a volume for a server.
func (s *Volumes) Reserve(ctx context.Context, r blockstorage.Reservation) (*blockstorage.Attachment, error) {
	a := &blockstorage.Attachment{ID: r.ID, VolumeID: r.VolumeID, ProjectID: r.Viewer.ProjectID, ServerID: r.ServerID,
		Status: blockstorage.AttachReserved, CreatedAt: s.now()}
	if r.ReadOnly {
		a.Mode = "ro"
	}
	err := s.DB.Write(ctx, func(tx *db.Tx) error {
		if err := s.reserve(ctx, tx, a, r.Viewer); err != nil {
			return err
		}
		return outbox.WriteCarried(ctx, tx)
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

func (s *Volumes) reserve(ctx context.Context, tx *db.Tx, a *blockstorage.Attachment, viewer blockstorage.Viewer) error {
	_, err := s.Change(ctx, tx, a.VolumeID, func(v *blockstorage.Volume) error {
		if !viewer.Admin && v.ProjectID != viewer.ProjectID {
			return blockstorage.VolumeNotFound(a.VolumeID)
		}
		for _, there := range v.Attachments {
			if there.ID == a.ID {
				*a = there
				return nil
			}
		}
		if err := Reservable(v); err != nil {
			return err
		}
		if err := s.Attachments.Insert(ctx, tx, a); err != nil {
			return err
		}
		if v.Status == blockstorage.Available {
			v.Status = blockstorage.Reserved
		}
		return nil
	})
	return err
}

// Reservable refuses a volume that cannot be attached (once more).
func Reservable(v *blockstorage.Volume) error {
	if v.May(blockstorage.ActReserve) || v.Multiattach && (v.Status == blockstorage.InUse || v.Status == blockstorage.Reserved || v.Status == blockstorage.Attaching) {
		return nil
	}
	return blockstorage.InvalidVolume("Volume %s status must be available or downloading to reserve, but the current status is %s.", v.ID, v.Status)
}

// Complete says that the server has the volume.
func (s *Volumes) Complete(ctx context.Context, attachment, device string) error {
	return s.attach(ctx, attachment, func(v *blockstorage.Volume, a *blockstorage.Attachment) error {
		if device != "" {
			a.Device = device
		}
		if a.Status != blockstorage.AttachAttached {
			a.Status, a.AttachedAt = blockstorage.AttachAttached, s.now()
		}
		if a.Mode == "" {
			a.Mode = "rw"
		}
		v.Status = blockstorage.InUse
		return nil
	})
}

// BeginDetach marks that the server gives the volume back.
func (s *Volumes) BeginDetach(ctx context.Context, attachment string) error {
	return s.attach(ctx, attachment, func(v *blockstorage.Volume, _ *blockstorage.Attachment) error {
		if v.Status == blockstorage.Detaching {
			return nil
		}
		if !v.May(blockstorage.ActBeginDetach) {
			return blockstorage.InvalidVolume("Unable to detach volume. Volume status must be 'in-use' and attach_status must be 'attached' to detach.")
		}
		v.Status = blockstorage.Detaching
		return nil
	})
}

// RollDetach takes BeginDetach back.
func (s *Volumes) RollDetach(ctx context.Context, attachment string) error {
	return s.attach(ctx, attachment, func(v *blockstorage.Volume, _ *blockstorage.Attachment) error {
		if v.Status == blockstorage.Detaching {
			v.Status = blockstorage.InUse
		}
		return nil
	})
}

// attach changes an attachment together with its volume.
func (s *Volumes) attach(ctx context.Context, id string, f func(*blockstorage.Volume, *blockstorage.Attachment) error) error {
	a, err := s.Attachments.Get(ctx, id)
	if err != nil {
		return err
	}
	return s.DB.Write(ctx, func(tx *db.Tx) error {
		_, err := s.Change(ctx, tx, a.VolumeID, func(v *blockstorage.Volume) error {
			for i := range v.Attachments {
				at := &v.Attachments[i]
				if at.ID != id {
					continue
				}
				if err := f(v, at); err != nil {
					return err
				}
				at.UpdatedAt = s.now()
				return s.Attachments.Set(ctx, tx, at)
			}
			return blockstorage.AttachmentNotFound(id)
		})
		if err != nil {
			return err
		}
		return outbox.WriteCarried(ctx, tx)
	})
}

// Detach ends an attachment in any state.
func (s *Volumes) Detach(ctx context.Context, attachment string) error {
	a, err := s.Attachments.Get(ctx, attachment)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.DB.Write(ctx, func(tx *db.Tx) error {
		err := s.Detached(ctx, tx, a.VolumeID, attachment)
		if fault.Is(err, fault.NotFound) { // the volume went first
			return s.Attachments.Remove(ctx, tx, attachment)
		}
		return err
	})
}

// Detached removes an attachment and gives the volume the status that is left.
// One that was on its way to the attachment's host stays where it is.
func (s *Volumes) Detached(ctx context.Context, tx *db.Tx, volume, attachment string) error {
	given := ""
	_, err := s.Change(ctx, tx, volume, func(v *blockstorage.Volume) error {
		if err := s.Attachments.Remove(ctx, tx, attachment); err != nil {
			return err
		}
		left, err := s.Attachments.InTx(ctx, tx, volume)
		if err != nil {
			return err
		}
		switch v.Status {
		case blockstorage.Reserved, blockstorage.Attaching, blockstorage.InUse, blockstorage.Detaching:
			v.Status = blockstorage.StatusOf(left)
		}
		if len(left) == 0 && !moving(v) {
			given, v.MoveTo = v.MoveTo, ""
		}
		return nil
	})
	if err == nil && given != "" {
		_, err = s.RaiseHost(ctx, tx, given)
	}
	return err
}
