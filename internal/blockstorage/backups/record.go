package backups

import (
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/id"
)

// record is what an exported backup says of itself, in upstream's names. It
// goes out as JSON in base64.
type record struct {
	ID          string                   `json:"id"`
	ProjectID   string                   `json:"project_id"`
	UserID      string                   `json:"user_id"`
	Name        *string                  `json:"display_name"`
	Description *string                  `json:"display_description"`
	VolumeID    string                   `json:"volume_id"`
	SnapshotID  *string                  `json:"snapshot_id"`
	ParentID    *string                  `json:"parent_id"`
	Size        int64                    `json:"size"`
	Status      string                   `json:"status"`
	Container   string                   `json:"container"`
	Location    string                   `json:"service_metadata"`
	Service     string                   `json:"service"`
	Objects     int64                    `json:"object_count"`
	Zone        string                   `json:"availability_zone"`
	Metadata    map[string]string        `json:"backup_metadata"`
	Volume      blockstorage.VolumeFacts `json:"volume_facts"`
	DataAt      string                   `json:"data_timestamp"`
}

func orNil(text string, null bool) *string {
	if null {
		return nil
	}
	return &text
}

// export encodes the record of a backup.
func export(b *blockstorage.Backup) (string, error) {
	raw, err := json.Marshal(record{ID: b.ID, ProjectID: b.ProjectID, UserID: b.UserID, Name: orNil(b.Name, b.NoName), Description: orNil(b.Description, b.NoDescribed),
		VolumeID: b.VolumeID, SnapshotID: orNil(b.SnapshotID, b.SnapshotID == ""), ParentID: orNil(b.ParentID, b.ParentID == ""), Size: b.SizeGiB,
		Status: string(b.Status), Container: b.Container, Location: b.Location, Service: b.Service, Objects: b.Objects, Zone: b.Zone, Metadata: b.Metadata,
		Volume: b.Volume, DataAt: clock.FromMicros(b.DataAt).Format(time.RFC3339Nano)})
	return base64.StdEncoding.EncodeToString(raw), err
}

func text(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// maxRecordGiB bounds what a record may claim, against nonsense in quotas.
const maxRecordGiB = 1 << 20

// parse decodes a record: it may come from anybody's file.
func parse(url string) (*blockstorage.Backup, error) {
	raw, err := base64.StdEncoding.DecodeString(url)
	if err != nil {
		return nil, blockstorage.InvalidBackup("Can't parse backup record.")
	}
	var r record
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, blockstorage.InvalidBackup("Can't decode backup record.")
	}
	switch {
	case r.ID == "":
		return nil, blockstorage.InvalidBackup("Provided backup record is missing an id")
	case r.Size == 0:
		return nil, blockstorage.InvalidBackup("Provided backup record is missing size attribute")
	case !id.Valid(r.ID) || r.VolumeID != "" && !id.Valid(r.VolumeID) || text(r.ParentID) != "" && !id.Valid(text(r.ParentID)) || text(r.SnapshotID) != "" && !id.Valid(text(r.SnapshotID)):
		return nil, blockstorage.InvalidBackup("Provided backup record has ids that are none.")
	case r.Size < 0 || r.Size > maxRecordGiB || len(r.Zone) > 255 || len(text(r.Name)) > 255 || len(text(r.Description)) > 255:
		return nil, blockstorage.InvalidBackup("Provided backup record has members that cannot be.")
	}
	for _, meta := range []map[string]string{r.Metadata, r.Volume.Metadata, r.Volume.ImageMeta} {
		if err := blockstorage.CheckMetadata(meta); err != nil {
			return nil, blockstorage.InvalidBackup("Provided backup record has metadata that cannot be.")
		}
	}
	b := &blockstorage.Backup{ID: r.ID, Name: text(r.Name), NoName: r.Name == nil, Description: text(r.Description), NoDescribed: r.Description == nil,
		VolumeID: r.VolumeID, SnapshotID: text(r.SnapshotID), ParentID: text(r.ParentID), SizeGiB: r.Size, Container: r.Container, Location: r.Location,
		Service: r.Service, Objects: r.Objects, Zone: r.Zone, Metadata: filled(r.Metadata), Volume: r.Volume}
	if at, err := time.Parse(time.RFC3339Nano, r.DataAt); err == nil {
		b.DataAt = clock.Micros(at)
	}
	return b, place(b).Check()
}
