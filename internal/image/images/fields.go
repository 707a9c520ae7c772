package images

import (
	"time"

	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// StoreID is the name of the one store there is.
const StoreID = image.Store

// isoTime is how the API writes times: whole seconds, UTC.
func isoTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// view renders an image; additional properties stand beside its own members.
func view(i *image.Image) map[string]any {
	out := make(map[string]any, 24+len(i.Properties))
	for name, value := range i.Properties {
		out[name] = value
	}
	whole := i.Status == image.Active || i.Status == image.Deactivated // otherwise there are no bytes, or they are only staged
	self := "/v2/images/" + i.ID
	for name, value := range map[string]any{
		"id": i.ID, "name": orNull(i.Name, i.Named), "owner": orNull(i.Owner, i.Owner != ""),
		"status": i.Status, "visibility": i.Visibility, "protected": i.Protected, "os_hidden": i.Hidden,
		"disk_format": orNull(string(i.Disk), i.Disk != ""), "container_format": orNull(i.Container, i.Container != ""),
		"size": orNull(i.Size, i.Size >= 0), "virtual_size": orNull(i.VirtualSize, i.VirtualSize >= 0),
		"checksum": orNull(i.Checksum, whole), "os_hash_value": orNull(i.HashValue, whole), "os_hash_algo": orNull(image.HashAlgo, whole),
		"min_disk": i.MinDisk, "min_ram": i.MinRAM, "tags": append([]string{}, i.Tags...),
		"created_at": isoTime(i.CreatedAt), "updated_at": isoTime(i.UpdatedAt),
		"self": self, "file": self + "/file", "schema": "/v2/schemas/image",
	} {
		out[name] = value
	}
	if whole {
		out["stores"] = StoreID
	}
	return out
}

func orNull[T any](v T, there bool) any {
	if !there {
		return nil
	}
	return v
}

// target is what policy rules see of an image. member is the status of the
// caller's membership.
func target(c *rest.Call, i *image.Image, member string) policy.Target {
	t := policy.Target{"project_id": i.Owner, "owner": i.Owner, "visibility": string(i.Visibility), "id": i.ID, "status": string(i.Status),
		"protected": i.Protected, "member_id": ""}
	if member != "" {
		t["member_id"] = c.Auth.ProjectID
	}
	return t
}
