package volumes

import (
	"context"
	"maps"
	"strconv"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/image"
)

// derive completes a draft from its source and its type: size, type, host,
// what it can be booted as. It refuses what can never be made.
func (s *Volumes) derive(ctx context.Context, d *draft, typeWord string, viewer blockstorage.Viewer) error {
	v := &d.Volume
	steps := []func(context.Context, *draft, blockstorage.Viewer) error{s.fromSnapshot, s.fromVolume, s.fromImage}
	for _, step := range steps {
		if err := step(ctx, d, viewer); err != nil {
			return err
		}
	}
	if v.SizeGiB <= 0 {
		return fault.Invalidf("Invalid input received: Invalid volume size provided for create request: None (size argument must be an integer (or string representation of an integer) and greater than zero).")
	}
	if v.TypeID == "" || typeWord != "" {
		t, err := s.Types.Resolve(ctx, typeWord, viewer.ProjectID, viewer.Admin)
		if err != nil {
			return err
		}
		v.TypeID, v.TypeName, v.Multiattach = t.ID, t.Name, t.Multiattach()
	}
	if v.Zone != "" && v.Zone != blockstorage.Zone {
		return fault.Invalidf("Invalid input received: Availability zone '%s' is invalid.", v.Zone)
	}
	return blockstorage.CheckMetadata(v.Metadata)
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
	v.TypeID, v.TypeName, v.Multiattach = from.TypeID, from.TypeName, from.Multiattach
	v.Host, v.Bootable, v.ImageMeta = from.Host, from.Bootable, maps.Clone(from.ImageMeta)
	return nil
}

func (s *Volumes) fromImage(ctx context.Context, d *draft, viewer blockstorage.Viewer) error {
	v := &d.Volume
	if v.Source.ImageID == "" {
		return nil
	}
	img, err := s.Images.Lookup(ctx, image.Viewer{ProjectID: viewer.ProjectID, Admin: viewer.Admin}, v.Source.ImageID)
	if fault.Is(err, fault.NotFound) {
		return fault.Invalidf("Invalid image identifier or unable to access requested image.")
	}
	if err != nil {
		return err
	}
	if !img.Usable() {
		return fault.Invalidf("Invalid input received: Image %s is not active.", img.ID)
	}
	if img.Content != image.Raw && img.Content != image.QCOW2 {
		return fault.Invalidf("Invalid input received: Images of format %s cannot become volumes.", img.Content)
	}
	need := (max(img.VirtualSize, img.Size) + blockstorage.GiB - 1) / blockstorage.GiB
	if img.Content == image.QCOW2 && img.VirtualSize > 0 {
		need = (img.VirtualSize + blockstorage.GiB - 1) / blockstorage.GiB
	}
	switch {
	case v.SizeGiB < need && v.SizeGiB > 0:
		return fault.Invalidf("Invalid input received: Size of specified image %dGB is larger than volume size %dGB.", need, v.SizeGiB)
	case v.SizeGiB < img.MinDisk && v.SizeGiB > 0:
		return fault.Invalidf("Invalid input received: Volume size %dGB cannot be smaller than the image minDisk size %dGB.", v.SizeGiB, img.MinDisk)
	}
	d.image = img
	v.Source.ImageFormat, v.Bootable, v.ImageMeta = string(img.Content), true, imageMeta(img)
	return nil
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
