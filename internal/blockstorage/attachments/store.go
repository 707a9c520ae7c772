package attachments

import (
	"context"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
)

type row struct {
	ID         string                  `db:"id"`
	VolumeID   string                  `db:"volume_id"`
	ProjectID  string                  `db:"project_id"`
	ServerID   string                  `db:"server_id"`
	Host       string                  `db:"host"`
	Device     string                  `db:"device"`
	Status     string                  `db:"status"`
	Mode       string                  `db:"mode"`
	Connector  db.JSON[map[string]any] `db:"connector"`
	Connected  bool                    `db:"connected"`
	AttachedAt int64                   `db:"attached_at"`
	CreatedAt  int64                   `db:"created_at"`
	UpdatedAt  int64                   `db:"updated_at"`
}

var rows = db.NewTable[row]("blockstorage_attachments", "id", "Attachment")

func toRow(a *blockstorage.Attachment) *row {
	return &row{a.ID, a.VolumeID, a.ProjectID, a.ServerID, a.Host, a.Device, string(a.Status), a.Mode, db.J(a.Connector), a.Connected,
		a.AttachedAt, a.CreatedAt, a.UpdatedAt}
}

func (r *row) attachment() *blockstorage.Attachment {
	return &blockstorage.Attachment{ID: r.ID, VolumeID: r.VolumeID, ProjectID: r.ProjectID, ServerID: r.ServerID, Host: r.Host, Device: r.Device,
		Status: blockstorage.AttachStatus(r.Status), Mode: r.Mode, Connector: r.Connector.V, Connected: r.Connected,
		AttachedAt: r.AttachedAt, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt}
}

// Store keeps attachments. Safe for concurrent use.
type Store struct{ db *db.DB }

var _ blockstorage.Attachments = (*Store)(nil)

// NewStore makes a store.
func NewStore(d *db.DB) *Store { return &Store{d} }

// List loads a page.
func (s *Store) List(ctx context.Context, q listing.Query) ([]*blockstorage.Attachment, error) {
	list, err := rows.List(ctx, s.db, q)
	out := make([]*blockstorage.Attachment, 0, len(list))
	for _, r := range list {
		out = append(out, r.attachment())
	}
	return out, err
}

// Get loads one attachment.
func (s *Store) Get(ctx context.Context, id string) (*blockstorage.Attachment, error) {
	r, err := rows.Get(ctx, s.db, id)
	if fault.Is(err, fault.NotFound) {
		return nil, blockstorage.AttachmentNotFound(id)
	}
	if err != nil {
		return nil, err
	}
	return r.attachment(), nil
}

// Of lists the attachments of volumes, by volume.
func (s *Store) Of(ctx context.Context, volumes ...string) (map[string][]blockstorage.Attachment, error) {
	out := map[string][]blockstorage.Attachment{}
	if len(volumes) == 0 {
		return out, nil
	}
	ids := make([]any, 0, len(volumes))
	for _, v := range volumes {
		ids = append(ids, v)
	}
	list, err := rows.Find(ctx, s.db, listing.Term{Column: "volume_id", Op: listing.In, Values: ids})
	for _, r := range list {
		out[r.VolumeID] = append(out[r.VolumeID], *r.attachment())
	}
	return out, err
}

// InTx lists the attachments of one volume as a transaction sees them.
func (s *Store) InTx(ctx context.Context, tx *db.Tx, volume string) ([]blockstorage.Attachment, error) {
	list, err := rows.Find(ctx, tx, listing.Term{Column: "volume_id", Values: []any{volume}})
	var out []blockstorage.Attachment
	for _, r := range list {
		out = append(out, *r.attachment())
	}
	return out, err
}

// Insert adds an attachment.
func (s *Store) Insert(ctx context.Context, tx *db.Tx, a *blockstorage.Attachment) error {
	return rows.Insert(ctx, tx, toRow(a))
}

// Set writes an attachment.
func (s *Store) Set(ctx context.Context, tx *db.Tx, a *blockstorage.Attachment) error {
	return rows.Update(ctx, tx, toRow(a))
}

// Remove deletes an attachment; a missing one is fine.
func (s *Store) Remove(ctx context.Context, tx *db.Tx, id string) error {
	_, err := rows.DeleteWhere(ctx, tx, listing.Term{Column: "id", Values: []any{id}})
	return err
}
