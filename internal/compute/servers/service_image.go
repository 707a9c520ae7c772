package servers

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/image"
)

// ImageRequest asks for an image of a server.
type ImageRequest struct {
	Name      string
	Metadata  map[string]string
	ProjectID string // the caller's: the image is theirs
	UserID    string
	UserName  string
	Project   string // the project's name
	Backup    string // backup type; empty: a snapshot
	Rotation  int    // how many backups of this type stay
}

func (r ImageRequest) kind() string {
	if r.Backup != "" {
		return "backup"
	}
	return "snapshot"
}

// CreateImage begins to make an image of a server's root disk, or of its
// volumes when the root is one, and answers the image's id. The image is
// there, without bytes, when it returns: users ask for it at once.
func (s *Servers) CreateImage(ctx context.Context, serverID string, in ImageRequest, record event.Record) (string, error) {
	one, err := s.store.Get(ctx, serverID)
	if err != nil {
		return "", err
	}
	verb, name, during := "createImage", "createImage", compute.ImageWaiting
	if in.Backup != "" {
		verb, name, during = "createBackup", "createBackup", compute.ImageBackup
	}
	if err := ready(one, verb, true); err != nil {
		return "", err
	}
	disks, err := disksOf(ctx, s.DB, serverID)
	if err != nil {
		return "", err
	}
	p, err := planImage(one, disks[serverID], in)
	if err != nil {
		return "", err
	}
	if err := s.Images.Create(ctx, p.Image); err != nil {
		return "", err
	}
	_, err = s.change(ctx, serverID, record, func(tx *db.Tx, one *Server) error {
		if err := ready(one, verb, true); err != nil {
			return err
		}
		one.Task = during
		if err := beginAction(ctx, tx, one, name, "compute_snapshot_instance", record.UserID, record.RequestID, one.UpdatedAt); err != nil {
			return err
		}
		_, err := s.sagas.image.Enqueue(ctx, tx, work(one, record, false), p)
		return err
	})
	if err != nil {
		return "", errors.Join(err, s.Images.Discard(ctx, p.Image.ID))
	}
	return p.Image.ID, nil
}

// planImage says what the image will be: a pure function but for fresh ids.
func planImage(one *Server, disks []*Disk, in ImageRequest) (imageParams, error) {
	p := imageParams{Image: imageOf(one, in), Backup: in.Backup, Rotation: in.Rotation}
	if len(disks) == 0 {
		return p, fault.Conflictf("Instance %s has no disks", one.ID)
	}
	if disks[0].Kind != guest.DiskVolume {
		p.Disk = disks[0].GuestID
		return p, nil
	}
	if in.Backup != "" {
		return p, fault.Invalidf("Backup is not supported for volume-backed instances.")
	}
	mapping := []map[string]any{}
	for _, d := range disks {
		if d.VolumeID == "" || d.State != diskAttached {
			continue
		}
		shot := blockstorage.NewSnapshot{ID: id.New(), VolumeID: d.VolumeID, Viewer: blockstorage.Viewer{ProjectID: one.ProjectID, UserID: in.UserID},
			Name: "snapshot for " + in.Name}
		p.Snapshots = append(p.Snapshots, shot)
		mapping = append(mapping, mappingOf(d, shot.ID))
	}
	maps.Copy(p.Image.Properties, map[string]string{"bdm_v2": "True", "root_device_name": one.RootDevice, "block_device_mapping": string(mustJSON(mapping))})
	p.Image.Disk = image.Raw
	return p, nil
}

// mappingOf is a disk of a volume-backed image, as upstream writes it.
func mappingOf(d *Disk, snapshot string) map[string]any {
	out := map[string]any{"source_type": "snapshot", "destination_type": "volume", "snapshot_id": snapshot, "volume_size": d.SizeGiB,
		"device_name": d.DeviceName, "device_type": "disk", "disk_bus": "virtio", "boot_index": nil, "delete_on_termination": d.DeleteOnTermination,
		"guest_format": nil, "image_id": nil, "volume_id": nil, "no_device": nil, "tag": orNull(d.Tag), "volume_type": nil}
	if d.BootIndex > 0 {
		out["boot_index"] = d.BootIndex - 1
	}
	return out
}

// imageOf is the record of an image of a server.
func imageOf(one *Server, in ImageRequest) image.NewImage {
	out := image.NewImage{ID: id.New(), Name: in.Name, Owner: in.ProjectID, Visibility: image.Private, Disk: image.QCOW2, Container: "bare",
		MinDisk: max(one.Image.MinDiskGiB, int64(one.Flavor.RootGiB)), MinRAM: one.Image.MinRAMMiB, Properties: one.Image.Inherited()}
	if in.ProjectID != one.ProjectID {
		out.Visibility = image.Shared
	}
	maps.Copy(out.Properties, map[string]string{"instance_uuid": one.ID, "user_id": in.UserID, "image_type": in.kind(), "image_location": "snapshot",
		"image_state": "available", "owner_id": one.ProjectID})
	for name, value := range map[string]string{"base_image_ref": one.ImageID, "owner_user_name": in.UserName, "owner_project_name": in.Project,
		"backup_type": in.Backup} {
		if value != "" {
			out.Properties[name] = value
		}
	}
	maps.Copy(out.Properties, in.Metadata)
	return out
}

// factsOf is what a server keeps of the image it is made from.
func factsOf(img *image.Image) compute.ImageFacts {
	return compute.ImageFacts{Properties: img.Properties, MinDiskGiB: img.MinDisk, MinRAMMiB: img.MinRAM}
}

// factsOfVolume is the same of a volume that was made from an image.
func factsOfVolume(v *blockstorage.Volume) compute.ImageFacts {
	out := compute.ImageFacts{Properties: map[string]string{}}
	for k, value := range v.ImageMeta {
		switch k {
		case "image_id", "image_name", "checksum", "container_format", "disk_format", "size", "min_disk", "min_ram":
		default:
			out.Properties[k] = value
		}
	}
	return out
}

// mappedDisks are the disks that an image of a volume-backed server asks for.
func mappedDisks(img *image.Image) ([]DiskRequest, error) {
	text := img.Properties["block_device_mapping"]
	if v2 := img.Properties["bdm_v2"]; text == "" || !strings.EqualFold(v2, "true") {
		return nil, nil
	}
	var list []struct {
		Source     string `json:"source_type"`
		Kind       string `json:"destination_type"`
		SnapshotID string `json:"snapshot_id"`
		VolumeID   string `json:"volume_id"`
		ImageID    string `json:"image_id"`
		Size       int    `json:"volume_size"`
		DeviceName string `json:"device_name"`
		BootIndex  *int   `json:"boot_index"`
		Delete     bool   `json:"delete_on_termination"`
		Format     string `json:"guest_format"`
		Tag        string `json:"tag"`
		VolumeType string `json:"volume_type"`
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fault.Invalidf("Block Device Mapping is Invalid: the image's mapping cannot be read").Because(err)
	}
	var out []DiskRequest
	for _, m := range list {
		d := DiskRequest{Source: m.Source, Local: m.Kind == "local", SizeGiB: m.Size, BootIndex: m.BootIndex, DeviceName: m.DeviceName,
			DeleteOnTermination: m.Delete, GuestFormat: m.Format, Tag: m.Tag, VolumeType: m.VolumeType}
		d.UUID = map[string]string{"snapshot": m.SnapshotID, "volume": m.VolumeID, "image": m.ImageID}[m.Source]
		if m.Source != "blank" && !id.Valid(d.UUID) {
			return nil, badMapping("uuid of source %s is not valid", m.Source)
		}
		out = append(out, d)
	}
	return out, nil
}
