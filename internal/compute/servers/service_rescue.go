package servers

import (
	"context"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/image"
)

// rescuePosition is behind every place that a user's disk can have.
const rescuePosition = 100

// Rescue begins to boot a server from a disk of an image, with its own disks
// beside it. imageID is empty for the image that the server was made of.
// volumeBacked: the caller's version knows of rescuing servers whose root is a volume.
func (s *Servers) Rescue(ctx context.Context, serverID, imageID string, volumeBacked, admin, override bool, record event.Record) error {
	one, err := s.store.Get(ctx, serverID)
	if err != nil {
		return err
	}
	if err := ready(one, "rescue", override); err != nil {
		return err
	}
	disks, err := disksOf(ctx, s.DB, serverID)
	if err != nil {
		return err
	}
	root := len(disks[serverID]) > 0 && disks[serverID][0].Kind == guest.DiskVolume
	d, err := s.rescueDisk(ctx, one, imageID, root, volumeBacked, admin)
	if err != nil {
		return err
	}
	return s.beginRescue(ctx, serverID, "rescue", compute.Rescuing, rescueParams{Disk: d}, override, record)
}

// Unrescue begins to boot a server from its own disks again.
func (s *Servers) Unrescue(ctx context.Context, serverID string, override bool, record event.Record) error {
	return s.beginRescue(ctx, serverID, "unrescue", compute.Unrescuing, rescueParams{Leave: true}, override, record)
}

func (s *Servers) beginRescue(ctx context.Context, serverID, verb string, during compute.TaskState, p rescueParams, override bool, record event.Record) error {
	_, err := s.change(ctx, serverID, record, func(tx *db.Tx, one *Server) error {
		if err := ready(one, verb, override); err != nil {
			return err
		}
		one.Task = during
		if err := beginAction(ctx, tx, one, verb, "compute_"+verb+"_instance", record.UserID, record.RequestID, one.UpdatedAt); err != nil {
			return err
		}
		_, err := s.sagas.rescue.Enqueue(ctx, tx, work(one, record, false), p)
		return err
	})
	return err
}

// rescueDisk is the disk to boot from: where it goes follows from the image.
func (s *Servers) rescueDisk(ctx context.Context, one *Server, imageID string, volumeRoot, volumeBacked, admin bool) (*Disk, error) {
	props, content := one.Image.Properties, ""
	from := imageID
	if from == "" {
		from = one.ImageID
	}
	if from != "" {
		img, err := s.Images.Lookup(ctx, image.Viewer{ProjectID: one.ProjectID, Admin: admin}, from)
		switch {
		case fault.Is(err, fault.NotFound):
			return nil, fault.Invalidf("Requested rescue image '%s' is not supported", from)
		case err != nil:
			return nil, err
		case img.Status != image.Active || img.Properties["block_device_mapping"] != "" || img.Content != image.Raw && img.Content != image.QCOW2:
			return nil, fault.Invalidf("Requested rescue image '%s' is not supported", from)
		}
		props, content = img.Properties, string(img.Content)
	}
	device, bus := props["hw_rescue_device"], props["hw_rescue_bus"]
	if volumeRoot && (!volumeBacked || device == "" || bus == "") || content == "" {
		return nil, fault.Invalidf("Instance %s cannot be rescued: Cannot rescue a volume-backed instance", one.ID)
	}
	d := &Disk{ID: id.New(), Server: one.ID, Position: rescuePosition, GuestID: "rescue", Kind: guest.DiskImage, ImageID: from, ImageFormat: content,
		BootIndex: 1, Rescue: rescuePlain}
	if device == "" && bus == "" {
		return d, nil
	}
	d.Rescue = rescueStable
	switch device {
	case "", "disk":
	case "cdrom":
		d.Kind = guest.DiskCD
	default:
		return nil, fault.Invalidf("Requested rescue device '%s' is not supported", device)
	}
	switch bus {
	case "", "virtio", "scsi", "ide", "usb":
		d.Bus = guest.Bus(bus)
	case "sata":
		d.Bus = guest.BusIDE
	default:
		return nil, fault.Invalidf("Requested rescue bus '%s' is not supported", bus)
	}
	return d, nil
}
