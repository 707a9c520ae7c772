package images

import (
	"context"
	"slices"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/listing"
)

type row struct {
	ID          string                     `db:"id"`
	Name        string                     `db:"name"`
	Named       bool                       `db:"named"`
	Owner       string                     `db:"owner"`
	Status      string                     `db:"status"`
	Visibility  string                     `db:"visibility"`
	Disk        string                     `db:"disk_format"`
	Container   string                     `db:"container_format"`
	Content     string                     `db:"content"`
	Size        int64                      `db:"size"`
	VirtualSize int64                      `db:"virtual_size"`
	MinDisk     int64                      `db:"min_disk"`
	MinRAM      int64                      `db:"min_ram"`
	Checksum    string                     `db:"checksum"`
	HashValue   string                     `db:"hash_value"`
	Protected   bool                       `db:"protected"`
	Hidden      bool                       `db:"hidden"`
	Tags        db.JSON[[]string]          `db:"tags"`
	Properties  db.JSON[map[string]string] `db:"properties"`
	Transfer    string                     `db:"transfer"`      // token of the running transfer
	Seen        int64                      `db:"transfer_seen"` // when it last gave a sign of life
	Location    string                     `db:"location"`      // where the bytes were brought from; empty: they were given
	CreatedAt   int64                      `db:"created_at"`
	UpdatedAt   int64                      `db:"updated_at"`
}

type tagRow struct {
	ImageID string `db:"image_id"`
	Tag     string `db:"tag"`
}

type propertyRow struct {
	ImageID string `db:"image_id"`
	Name    string `db:"name"`
	Value   string `db:"value"`
}

var (
	rows       = db.NewTable[row]("image_images", "id", "Image")
	tagRows    = db.NewTable[tagRow]("image_tags", "image_id", "Tag")
	properties = db.NewTable[propertyRow]("image_properties", "image_id", "Property")
)

func (r *row) image() *image.Image {
	return &image.Image{ID: r.ID, Name: r.Name, Named: r.Named, Owner: r.Owner, Status: image.Status(r.Status), Visibility: image.Visibility(r.Visibility),
		Disk: image.Format(r.Disk), Container: r.Container, Content: image.Format(r.Content), Size: r.Size, VirtualSize: r.VirtualSize,
		MinDisk: r.MinDisk, MinRAM: r.MinRAM, Checksum: r.Checksum, HashValue: r.HashValue, Protected: r.Protected, Hidden: r.Hidden,
		Tags: r.Tags.V, Properties: r.Properties.V, CreatedAt: clock.FromMicros(r.CreatedAt), UpdatedAt: clock.FromMicros(r.UpdatedAt)}
}

// take copies what a change may have changed; transfers are not part of it.
func (r *row) take(i *image.Image) {
	*r = row{ID: i.ID, Name: i.Name, Named: i.Named, Owner: i.Owner, Status: string(i.Status), Visibility: string(i.Visibility), Disk: string(i.Disk),
		Container: i.Container, Content: string(i.Content), Size: i.Size, VirtualSize: i.VirtualSize, MinDisk: i.MinDisk, MinRAM: i.MinRAM,
		Checksum: i.Checksum, HashValue: i.HashValue, Protected: i.Protected, Hidden: i.Hidden, Tags: db.J(i.Tags), Properties: db.J(i.Properties),
		Transfer: r.Transfer, Seen: r.Seen, Location: r.Location, CreatedAt: clock.Micros(i.CreatedAt), UpdatedAt: clock.Micros(i.UpdatedAt)}
}

func notFound(id string) error { return fault.NotFoundf("No image found with ID %s", id) }

func get(ctx context.Context, q db.Querier, id string) (*row, error) {
	r, err := rows.Get(ctx, q, id)
	if fault.Is(err, fault.NotFound) {
		return nil, notFound(id)
	}
	return r, err
}

func lock(ctx context.Context, tx *db.Tx, id string) (*row, error) {
	r, err := rows.GetForUpdate(ctx, tx, id)
	if fault.Is(err, fault.NotFound) {
		return nil, notFound(id)
	}
	return r, err
}

func insert(ctx context.Context, tx *db.Tx, i *image.Image) error {
	var r row
	r.take(i)
	if err := rows.Insert(ctx, tx, &r); err != nil {
		return err
	}
	return index(ctx, tx, i)
}

// save writes a changed image; the caller holds its row.
func save(ctx context.Context, tx *db.Tx, r *row, i *image.Image) error {
	tags, props := r.Tags.V, r.Properties.V
	r.take(i)
	if err := rows.Update(ctx, tx, r); err != nil {
		return err
	}
	if slices.Equal(tags, i.Tags) && same(props, i.Properties) {
		return nil
	}
	if _, err := tagRows.DeleteWhere(ctx, tx, ofImage(i.ID)); err != nil {
		return err
	}
	if _, err := properties.DeleteWhere(ctx, tx, ofImage(i.ID)); err != nil {
		return err
	}
	return index(ctx, tx, i)
}

func same(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return true
}

// index writes the side tables that lists filter by.
func index(ctx context.Context, tx *db.Tx, i *image.Image) error {
	for _, t := range i.Tags {
		if err := tagRows.Insert(ctx, tx, &tagRow{i.ID, t}); err != nil {
			return err
		}
	}
	for name, value := range i.Properties {
		if err := properties.Insert(ctx, tx, &propertyRow{i.ID, name, value}); err != nil {
			return err
		}
	}
	return nil
}

func ofImage(id string) listing.Term {
	return listing.Term{Column: "image_id", Op: listing.Eq, Values: []any{id}}
}

// remove deletes the record with its tags, properties and members.
func remove(ctx context.Context, tx *db.Tx, id string) error {
	err := rows.Delete(ctx, tx, id)
	if fault.Is(err, fault.NotFound) {
		return notFound(id)
	}
	return err
}

// CountImages tells how many images a project owns, for its quota.
func CountImages(ctx context.Context, q db.Querier, project string) (int64, error) {
	return rows.Count(ctx, q, listing.Term{Column: "owner", Op: listing.Eq, Values: []any{project}})
}

// CountTransfers tells how many uploads and stagings of a project run.
func CountTransfers(ctx context.Context, q db.Querier, project string) (int64, error) {
	return rows.Count(ctx, q, listing.Term{Column: "owner", Op: listing.Eq, Values: []any{project}},
		listing.Term{Column: "transfer", Op: listing.NotEq, Values: []any{""}})
}

// SumMiB tells how much a project's images take in a store, in MiB, rounded up.
func SumMiB(ctx context.Context, q db.Querier, project string) (int64, error) {
	return sum(ctx, q, `SELECT COALESCE(SUM(size), 0) FROM image_images WHERE owner = $1 AND size > 0 AND status IN ('active', 'deactivated')`, project)
}

// SumStagedMiB tells how much a project's staged data takes, in MiB, rounded up.
func SumStagedMiB(ctx context.Context, q db.Querier, project string) (int64, error) {
	return sum(ctx, q, `SELECT COALESCE(SUM(size), 0) FROM image_images WHERE owner = $1 AND size > 0 AND status IN ('uploading', 'importing')`, project)
}

func sum(ctx context.Context, q db.Querier, query, project string) (int64, error) {
	var n int64
	if err := q.QueryRowContext(ctx, query, project).Scan(&n); err != nil {
		return 0, db.Translate(err, "sum up images")
	}
	return (n + 1<<20 - 1) >> 20, nil
}
