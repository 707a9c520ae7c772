package servers

import (
	"context"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
)

// Rebuild is what a user wants of a server that is made anew. Nil: as it was.
type Rebuild struct {
	Update
	ImageID       string
	UserID        string // the caller's: keys are theirs
	Metadata      map[string]string
	Files         *[]guest.File
	KeyName       *string // empty: no key
	UserData      *string // empty: none
	TrustedCerts  *[]string
	KeepEphemeral bool
	Reimage       bool // a root that is a volume gets the image too
	Admin         bool // sees every project's images
}

// Rebuild begins to make a server's own disks anew. Its addresses, volumes and
// place stay.
func (s *Servers) Rebuild(ctx context.Context, serverID string, in Rebuild, override bool, record event.Record) error {
	one, err := s.store.Get(ctx, serverID)
	if err != nil {
		return err
	}
	if err := ready(one, "rebuild", override); err != nil {
		return err
	}
	parts := Request{Server: one.Server, Admin: in.Admin, ZeroDisk: true}
	p, err := s.planRebuild(ctx, in, &parts)
	if err != nil {
		return err
	}
	_, err = s.change(ctx, serverID, record, func(tx *db.Tx, one *Server) error {
		if err := ready(one, "rebuild", override); err != nil {
			return err
		}
		p.Stopped = one.VM == compute.VMStopped
		in.apply(one, parts.Server)
		s.hide(one)
		if p.Format != "" {
			one.ImageID = in.ImageID
		}
		one.Image, one.Task, one.Progress = parts.Server.Image, compute.Rebuilding, 0
		if err := beginAction(ctx, tx, one, "rebuild", "compute_rebuild_instance", record.UserID, record.RequestID, one.UpdatedAt); err != nil {
			return err
		}
		_, err := s.sagas.rebuild.Enqueue(ctx, tx, work(one, record, false), p)
		return err
	})
	return err
}

// planRebuild checks a request against images, keys and quotas. parts gets what
// follows from them: key, image facts.
func (s *Servers) planRebuild(ctx context.Context, in Rebuild, parts *Request) (rebuildParams, error) {
	p := rebuildParams{ImageID: in.ImageID, KeepEphemeral: in.KeepEphemeral}
	check := Request{Server: compute.Server{ProjectID: parts.Server.ProjectID, UserID: in.UserID, Metadata: in.Metadata}}
	if in.KeyName != nil {
		check.Server.KeyName = *in.KeyName
	}
	if in.UserData != nil {
		check.Server.UserData = *in.UserData
	}
	if in.Files != nil {
		check.Files = *in.Files
	}
	if err := s.checkParts(ctx, &check); err != nil {
		return p, err
	}
	parts.Server.PublicKey, parts.Server.KeyType = check.Server.PublicKey, check.Server.KeyType
	disks, err := disksOf(ctx, s.DB, parts.Server.ID)
	if err != nil {
		return p, err
	}
	root := disks[parts.Server.ID]
	if len(root) == 0 {
		return p, fault.Conflictf("Instance %s has no disks", parts.Server.ID)
	}
	parts.Server.Image = compute.ImageFacts{}
	if root[0].Kind == guest.DiskVolume {
		return p, s.planReimage(ctx, in, parts, root[0], &p)
	}
	d, err := s.imageDisk(ctx, parts, in.ImageID, true)
	if err == nil {
		p.Format = d.ImageFormat
	}
	return p, err
}

// planReimage is for a root that is a volume: another image needs a version
// that writes it to the volume.
func (s *Servers) planReimage(ctx context.Context, in Rebuild, parts *Request, root *Disk, p *rebuildParams) error {
	if in.TrustedCerts != nil && len(*in.TrustedCerts) > 0 {
		return fault.Invalidf("Image certificate validation is not supported for volume-backed servers.")
	}
	v, err := s.Volumes.Lookup(ctx, viewer(parts), root.VolumeID)
	if err != nil {
		return err
	}
	if !in.Reimage {
		if v.ImageMeta["image_id"] != in.ImageID {
			return fault.Invalidf("Image %s is unacceptable: Unable to rebuild with a different image for a volume-backed server.", in.ImageID)
		}
		parts.Server.Image = factsOfVolume(v)
		return nil
	}
	need, err := s.imageDisk(ctx, parts, in.ImageID, false)
	if err != nil {
		return err
	}
	if int64(need.SizeGiB) > v.SizeGiB {
		return fault.Invalidf("Volume is smaller than the minimum size specified in image metadata. Volume size is %d bytes, minimum size is %d bytes.",
			v.SizeGiB<<30, int64(need.SizeGiB)<<30)
	}
	p.Volume = root.VolumeID
	return nil
}

// apply writes what a rebuild changes of the row at once.
func (in Rebuild) apply(one *Server, parts compute.Server) {
	in.Update.apply(one)
	if in.Metadata != nil {
		one.Metadata = in.Metadata
	}
	if in.Files != nil {
		one.Files = *in.Files
	}
	if in.KeyName != nil {
		one.KeyName, one.PublicKey, one.KeyType = *in.KeyName, parts.PublicKey, parts.KeyType
	}
	if in.UserData != nil {
		one.UserData = *in.UserData
	}
	if in.TrustedCerts != nil {
		one.TrustedCerts = *in.TrustedCerts
	}
}
