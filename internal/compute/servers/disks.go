package servers

import (
	"context"
	"fmt"
	"slices"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/image"
)

// DiskRequest is one block device as the user asks for it.
type DiskRequest struct {
	Source              string // image, volume, snapshot, blank
	Local               bool   // a disk of the guest's own, not a volume
	UUID                string // of the source
	SizeGiB             int
	BootIndex           *int // nil: not said
	DeviceName          string
	DeleteOnTermination bool
	Bus                 string
	GuestFormat         string // "swap"
	Tag                 string
	VolumeType          string
}

func (d DiskRequest) root() bool { return d.BootIndex != nil && *d.BootIndex == 0 }

func badMapping(format string, args ...any) error {
	return fault.Invalidf("Block Device Mapping is Invalid: "+format, args...)
}

// planDisks makes disks of a request: the root first, then what the user named,
// then ephemeral disks and swap of the flavor.
func (s *Servers) planDisks(ctx context.Context, in *Request) ([]*Disk, error) {
	if err := s.mapImage(ctx, in); err != nil {
		return nil, err
	}
	root, others := -1, 0
	for i, d := range in.Disks {
		if d.root() {
			if root >= 0 {
				return nil, badMapping("Boot sequence for the instance and image/block device mapping combination is not valid.")
			}
			root = i
		}
		if d.Local && d.Source == "blank" {
			others++
		}
	}
	if in.Server.ImageID == "" && root < 0 {
		return nil, fault.Invalidf("Invalid imageRef provided.")
	}
	var out []*Disk
	if root >= 0 {
		d, err := s.planDisk(ctx, in, in.Disks[root])
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	} else {
		d, err := s.imageDisk(ctx, in, in.Server.ImageID, true)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	if out[0].Kind == guest.DiskVolume {
		in.Server.ImageID = ""
	}
	for i, asked := range in.Disks {
		if i == root {
			continue
		}
		d, err := s.planDisk(ctx, in, asked)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	out = append(out, flavorDisks(in, others > 0)...)
	return out, number(out, in.Disks)
}

// mapImage lets an image of a volume-backed server name the disks, unless the
// user did.
func (s *Servers) mapImage(ctx context.Context, in *Request) error {
	if !id.Valid(in.Server.ImageID) {
		return nil // refused below, or a volume is booted
	}
	img, err := s.image(ctx, in, in.Server.ImageID)
	if err != nil {
		return nil // whoever needs it says so
	}
	mapped, err := mappedDisks(img)
	if err != nil || len(mapped) == 0 {
		return err
	}
	in.Server.Image = factsOf(img)
	for _, d := range mapped {
		if d.root() && slices.ContainsFunc(in.Disks, DiskRequest.root) {
			continue
		}
		in.Disks = append(in.Disks, d)
	}
	return nil
}

// flavorDisks are those that come with a flavor, unless the user placed them.
func flavorDisks(in *Request, placed bool) []*Disk {
	var out []*Disk
	if in.Server.Flavor.EphemGiB > 0 && !placed {
		out = append(out, &Disk{GuestID: "ephemeral0", Kind: guest.DiskBlank, SizeGiB: in.Server.Flavor.EphemGiB})
	}
	if in.Server.Flavor.SwapMiB > 0 {
		out = append(out, &Disk{GuestID: "swap", Kind: guest.DiskBlank, SwapMiB: in.Server.Flavor.SwapMiB})
	}
	return out
}

// number gives disks their places and device names.
func number(disks []*Disk, asked []DiskRequest) error {
	if len(disks) > 26 {
		return badMapping("You specified more local devices than the limit allows")
	}
	for i, d := range disks {
		d.Position, d.State = i, diskPlanned
		d.DeviceName = fmt.Sprintf("/dev/vd%c", 'a'+i)
		if i == 0 {
			d.BootIndex = 1
		}
		if d.GuestID == "" {
			d.GuestID = fmt.Sprintf("disk%d", i)
		}
	}
	seen := map[string]bool{}
	for _, a := range asked {
		if a.Source == "volume" && seen[a.UUID] {
			return badMapping("volume %s is given twice", a.UUID)
		}
		seen[a.UUID] = a.Source == "volume"
	}
	return nil
}

func (s *Servers) planDisk(ctx context.Context, in *Request, a DiskRequest) (*Disk, error) {
	d := &Disk{Bus: guest.Bus(a.Bus), SizeGiB: a.SizeGiB, Tag: a.Tag, DeleteOnTermination: a.DeleteOnTermination, Kind: guest.DiskVolume}
	if a.BootIndex != nil && *a.BootIndex >= 0 {
		d.BootIndex = *a.BootIndex + 1
	}
	if !a.Local && a.Source != "volume" {
		d.Make = &VolumeSource{Type: a.VolumeType, SizeGiB: a.SizeGiB}
	}
	switch {
	case a.Source == "image" && a.Local:
		if !a.root() {
			return nil, badMapping("Mapping image to local is not supported.")
		}
		root, err := s.imageDisk(ctx, in, a.UUID, true)
		if err == nil {
			in.Server.ImageID = a.UUID
			root.Tag, root.Bus = a.Tag, guest.Bus(a.Bus)
		}
		return root, err
	case a.Source == "image":
		img, err := s.imageDisk(ctx, in, a.UUID, false)
		if err != nil {
			return nil, err
		}
		if a.SizeGiB == 0 {
			return nil, badMapping("image %s needs a volume size", a.UUID)
		}
		if img.SizeGiB > a.SizeGiB {
			return nil, fault.Invalidf("Volume is smaller than the minimum size specified in image metadata. Volume size is %d bytes, minimum size is %d bytes.",
				int64(a.SizeGiB)<<30, int64(img.SizeGiB)<<30)
		}
		d.Make.ImageID = a.UUID
	case a.Source == "snapshot":
		snap, err := s.Volumes.LookupSnapshot(ctx, viewer(in), a.UUID)
		if err != nil {
			return nil, badMapping("failed to get snapshot %s.", a.UUID)
		}
		d.Make.SnapshotID, d.Make.SizeGiB = a.UUID, max(a.SizeGiB, int(snap.SizeGiB))
	case a.Source == "volume":
		return d, s.userVolume(ctx, in, a, d)
	case a.Source == "blank" && a.Local:
		d.Kind, d.Make = guest.DiskBlank, nil
		return d, localDisk(in, a, d)
	case a.Source == "blank" && a.SizeGiB == 0:
		return nil, badMapping("Blank volumes (source: 'blank', dest: 'volume') need to have non-zero size")
	case a.Source != "blank":
		return nil, badMapping("unknown source type %s", a.Source)
	}
	d.SizeGiB = d.Make.SizeGiB
	return d, nil
}

func viewer(in *Request) blockstorage.Viewer {
	return blockstorage.Viewer{ProjectID: in.Server.ProjectID, UserID: in.Server.UserID, Admin: in.Admin}
}

// sharedEarly refuses a volume that several servers may have to old clients.
func sharedEarly() error {
	return fault.Invalidf("Multiattach volumes are only supported starting with compute API version 2.60.")
}

// attachable tells whether one server more may have the volume.
func attachable(v *blockstorage.Volume) bool {
	return v.Status == blockstorage.Available || v.Multiattach && slices.Contains([]blockstorage.VolumeStatus{blockstorage.InUse, blockstorage.Reserved, blockstorage.Attaching}, v.Status)
}

// shareable refuses one server more for a volume that others have, where that
// is not possible: the bytes are on one host.
func shareable(v *blockstorage.Volume, one *Server) error {
	if !v.Multiattach {
		return nil
	}
	if one.VM == compute.ShelvedOffloaded {
		return fault.Invalidf("Attaching multiattach volumes is not supported for shelved-offloaded instances.")
	}
	for _, a := range v.Attachments {
		if a.Host != "" && a.Host != one.Host {
			return fault.New(fault.NotImplemented, "Volume %s is in use on another host, and servers share volumes on one host only.", v.ID)
		}
	}
	return nil
}

// userVolume checks a volume that the user brings.
func (s *Servers) userVolume(ctx context.Context, in *Request, a DiskRequest, d *Disk) error {
	v, err := s.Volumes.Lookup(ctx, viewer(in), a.UUID)
	if err != nil {
		return badMapping("failed to get volume %s.", a.UUID)
	}
	if !attachable(v) {
		return fault.Invalidf("Invalid volume: volume '%s' status must be 'available'. Currently in '%s'", v.ID, v.Status)
	}
	if v.Multiattach && !in.Shared {
		return sharedEarly()
	}
	if a.root() && !v.Bootable {
		return badMapping("Block Device %s is not bootable.", v.ID)
	}
	if in.Max > 1 {
		return badMapping("Volume %s cannot be attached to more than one server", v.ID)
	}
	if a.root() {
		in.Server.Image = factsOfVolume(v)
	}
	d.VolumeID, d.GuestID, d.SizeGiB, d.Shared = v.ID, v.ID, int(v.SizeGiB), v.Multiattach
	return nil
}

// localDisk is a blank disk of the guest's own: no larger than the flavor says.
func localDisk(in *Request, a DiskRequest, d *Disk) error {
	if a.GuestFormat == "swap" {
		d.GuestID, d.SwapMiB, d.SizeGiB = "swap0", a.SizeGiB<<10, 0
		if d.SwapMiB > in.Server.Flavor.SwapMiB {
			return badMapping("Swap drive requested is larger than instance type allows.")
		}
		return nil
	}
	if d.SizeGiB == 0 {
		d.SizeGiB = in.Server.Flavor.EphemGiB
	}
	if d.SizeGiB == 0 || d.SizeGiB > in.Server.Flavor.EphemGiB {
		return badMapping("Ephemeral disks requested are larger than the instance type allows.")
	}
	return nil
}

// imageDisk is a root disk made from an image, which must be usable by the
// project and fit the flavor.
func (s *Servers) imageDisk(ctx context.Context, in *Request, imageID string, local bool) (*Disk, error) {
	if !id.Valid(imageID) {
		return nil, fault.Invalidf("Invalid imageRef provided.")
	}
	img, err := s.image(ctx, in, imageID)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.Invalidf("Can not find requested image")
	}
	if err != nil {
		return nil, err
	}
	f := in.Server.Flavor
	switch {
	case img.Status != image.Active:
		return nil, fault.Invalidf("Image %s is not active.", imageID)
	case img.Content != image.Raw && img.Content != image.QCOW2 && local:
		return nil, fault.Invalidf("Image %s is unacceptable: its format cannot be booted here", imageID)
	case int(img.MinRAM) > f.MemoryMiB:
		return nil, fault.Invalidf("Flavor's memory is too small for requested image.")
	}
	if len(in.Server.Image.Properties) == 0 {
		in.Server.Image = factsOf(img)
	}
	need := max(img.MinDisk<<30, img.VirtualSize, img.Size)
	if !local {
		return &Disk{SizeGiB: int(max(img.MinDisk, (max(img.VirtualSize, img.Size)+1<<30-1)>>30))}, nil
	}
	if f.RootGiB == 0 && !in.ZeroDisk {
		return nil, fault.Forbiddenf("Only volume-backed servers are allowed for flavors with zero disk.")
	}
	if f.RootGiB != 0 && need > int64(f.RootGiB)<<30 {
		return nil, fault.Invalidf("Flavor's disk is too small for requested image. Flavor disk is %d bytes, minimum size is %d bytes.", int64(f.RootGiB)<<30, need)
	}
	d := &Disk{GuestID: "root", Kind: guest.DiskImage, ImageID: imageID, ImageFormat: string(img.Content), SizeGiB: f.RootGiB} // 0: the image's own size
	return d, nil
}
