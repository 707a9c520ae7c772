package volumes

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/image"
)

// derive completes a draft from its source and its type: size, type, host,
// what it can be booted as. It refuses what can never be made.
func (s *Volumes) derive(ctx context.Context, d *draft, typeWord string, viewer blockstorage.Viewer) error {
	v := &d.Volume
	steps := []func(context.Context, *draft, blockstorage.Viewer) error{s.fromSnapshot, s.fromVolume, s.fromImage, s.fromBackup, s.fromRelic}
	for _, step := range steps {
		if err := step(ctx, d, viewer); err != nil {
			return err
		}
	}
	if v.SizeGiB <= 0 {
		return fault.Invalidf("Invalid input received: Invalid volume size provided for create request: None (size argument must be an integer (or string representation of an integer) and greater than zero).")
	}
	if err := s.typed(ctx, v, typeWord, viewer); err != nil {
		return err
	}
	if err := s.grouped(ctx, v, typeWord, viewer); err != nil {
		return err
	}
	if v.Zone != "" && v.Zone != blockstorage.Zone {
		return fault.Invalidf("Invalid input received: Availability zone '%s' is invalid.", v.Zone)
	}
	return blockstorage.CheckMetadata(v.Metadata)
}

// typed gives a volume the type that is asked for, its source's or the default.
func (s *Volumes) typed(ctx context.Context, v *blockstorage.Volume, typeWord string, viewer blockstorage.Viewer) error {
	admin := viewer.Admin
	if v.TypeID != "" && typeWord == "" {
		typeWord, admin = v.TypeID, true // who may use the source may have its type
	}
	t, err := s.Types.Resolve(ctx, typeWord, viewer.ProjectID, admin)
	if err != nil {
		return err
	}
	v.TypeID, v.TypeName, v.Multiattach = t.ID, t.Name, v.Multiattach || t.Multiattach()
	return met(t)
}

// met refuses types that ask of volumes what hosts do not do: a volume that
// only says that it is encrypted or limited would be worse than none.
func met(t *blockstorage.Type) error {
	switch {
	case t.Encryption != nil:
		return fault.New(fault.NotImplemented, "Volumes of type %s must be encrypted, which this cloud cannot do.", t.Name)
	case t.QosID != "":
		return fault.New(fault.NotImplemented, "Volumes of type %s must keep to its QoS specs, which this cloud does not enforce.", t.Name)
	}
	return nil
}

// grouped refuses a volume that its group cannot take.
func (s *Volumes) grouped(ctx context.Context, v *blockstorage.Volume, typeWord string, viewer blockstorage.Viewer) error {
	if v.GroupID == "" {
		return nil
	}
	g, err := s.Groups.Get(ctx, v.GroupID)
	if err == nil && !viewer.Admin && g.ProjectID != viewer.ProjectID {
		err = blockstorage.GroupNotFound(v.GroupID)
	}
	switch {
	case err != nil:
		return err
	case typeWord == "":
		return fault.Invalidf("Invalid input received: volume_type must be provided when creating a volume in a group.")
	case !slices.Contains(g.VolumeTypes, v.TypeID):
		return fault.Invalidf("Invalid input received: Invalid volume_type provided: %s (requested type must be supported by this group).", typeWord)
	case g.Status != blockstorage.GroupAvailable:
		return blockstorage.InvalidGroup("Group %s status must be available, but is %s.", g.ID, g.Status)
	}
	return nil
}

func (s *Volumes) fromBackup(ctx context.Context, d *draft, viewer blockstorage.Viewer) error {
	v := &d.Volume
	if v.Source.BackupID == "" {
		return nil
	}
	b, err := s.Backups.Get(ctx, v.Source.BackupID)
	if err == nil && !viewer.Admin && b.ProjectID != viewer.ProjectID {
		err = blockstorage.BackupNotFound(v.Source.BackupID)
	}
	if err != nil {
		return err
	}
	if b.Status != blockstorage.BackupAvailable {
		return blockstorage.InvalidBackup("Backup status must be available")
	}
	v.Bootable, v.ImageMeta = b.Volume.Bootable, maps.Clone(b.Volume.ImageMeta)
	if v.Metadata == nil {
		v.Metadata = maps.Clone(b.Volume.Metadata)
	}
	if v.SizeGiB == 0 {
		v.SizeGiB = b.SizeGiB
	}
	if v.SizeGiB < b.SizeGiB {
		return fault.Invalidf("Invalid input received: Volume size %d GB cannot be smaller than the backup size %d GB. It must be >= backup size.", v.SizeGiB, b.SizeGiB)
	}
	return nil
}

// fromRelic: what is managed again keeps its size and its host.
func (s *Volumes) fromRelic(ctx context.Context, d *draft, _ blockstorage.Viewer) error {
	v := &d.Volume
	if v.Source.RelicID == "" {
		return nil
	}
	r, err := s.Relics.Get(ctx, v.Source.RelicID)
	if err != nil {
		return err
	}
	v.SizeGiB, v.Host = r.SizeGiB, r.Host
	return nil
}

func (s *Volumes) fromSnapshot(ctx context.Context, d *draft, viewer blockstorage.Viewer) error {
	v := &d.Volume
	if v.Source.SnapshotID == "" {
		return nil
	}
	sn, err := s.LookupSnapshot(ctx, viewer, v.Source.SnapshotID)
	if err != nil {
		return err
	}
	if v.SizeGiB == 0 {
		v.SizeGiB = sn.SizeGiB
	}
	if v.SizeGiB < sn.SizeGiB {
		return fault.Invalidf("Invalid input received: Volume size '%d' GB cannot be smaller than the snapshot size %d GB. They must be >= original snapshot size.", v.SizeGiB, sn.SizeGiB)
	}
	v.TypeID, v.Host, v.Bootable, v.ImageMeta = sn.TypeID, sn.Host, sn.Bootable, maps.Clone(sn.ImageMeta)
	return nil
}

func (s *Volumes) fromVolume(ctx context.Context, d *draft, viewer blockstorage.Viewer) error {
	v := &d.Volume
	if v.Source.VolumeID == "" {
		return nil
	}
	from, err := s.Lookup(ctx, viewer, v.Source.VolumeID)
	if err != nil {
		return err
	}
	if v.SizeGiB == 0 {
		v.SizeGiB = from.SizeGiB
	}
	if v.SizeGiB < from.SizeGiB {
		return fault.Invalidf("Invalid input received: Volume size '%d'GB cannot be smaller than original volume size %dGB. They must be >= original volume size.", v.SizeGiB, from.SizeGiB)
	}
	v.TypeID, v.TypeName, v.Multiattach = from.TypeID, from.TypeName, v.Multiattach || from.Multiattach
	v.Host, v.Bootable, v.ImageMeta = from.Host, from.Bootable, maps.Clone(from.ImageMeta)
	return nil
}

func (s *Volumes) fromImage(ctx context.Context, d *draft, viewer blockstorage.Viewer) error {
	v := &d.Volume
	if v.Source.ImageID == "" {
		return nil
	}
	img, err := s.fitting(ctx, v.Source.ImageID, v.SizeGiB, viewer)
	if err != nil {
		return err
	}
	d.image = img
	v.Source.ImageFormat, v.Bootable, v.ImageMeta = string(img.Content), true, imageMeta(img)
	return nil
}

// fitting finds an image that can become a volume of a size; 0: of any.
func (s *Volumes) fitting(ctx context.Context, id string, sizeGiB int64, viewer blockstorage.Viewer) (*image.Image, error) {
	img, err := s.Images.Lookup(ctx, image.Viewer{ProjectID: viewer.ProjectID, Admin: viewer.Admin}, id)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.Invalidf("Invalid image identifier or unable to access requested image.")
	}
	if err != nil {
		return nil, err
	}
	if !img.Usable() {
		return nil, fault.Invalidf("Invalid input received: Image %s is not active.", img.ID)
	}
	if img.Content != image.Raw && img.Content != image.QCOW2 {
		return nil, fault.Invalidf("Invalid input received: Images of format %s cannot become volumes.", img.Content)
	}
	need := (max(img.VirtualSize, img.Size) + blockstorage.GiB - 1) / blockstorage.GiB
	if img.Content == image.QCOW2 && img.VirtualSize > 0 {
		need = (img.VirtualSize + blockstorage.GiB - 1) / blockstorage.GiB
	}
	switch {
	case sizeGiB < need && sizeGiB > 0:
		return nil, fault.Invalidf("Invalid input received: Size of specified image %dGB is larger than volume size %dGB.", need, sizeGiB)
	case sizeGiB < img.MinDisk && sizeGiB > 0:
		return nil, fault.Invalidf("Invalid input received: Volume size %dGB cannot be smaller than the image minDisk size %dGB.", sizeGiB, img.MinDisk)
	}
	return img, nil
}

// imageMeta is what a volume remembers of its image.
func imageMeta(img *image.Image) map[string]string {
	out := maps.Clone(img.Properties)
	if out == nil {
		out = map[string]string{}
	}
	out["image_id"], out["image_name"], out["checksum"] = img.ID, img.Name, img.Checksum
	out["container_format"], out["disk_format"] = img.Container, string(img.Disk)
	out["min_disk"], out["min_ram"] = strconv.FormatInt(img.MinDisk, 10), strconv.FormatInt(img.MinRAM, 10)
	out["size"] = strconv.FormatInt(img.Size, 10)
	return out
}
