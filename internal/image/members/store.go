package members

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/listing"
)

// Member is one project that an image is shared with.
type Member struct {
	ID        string `db:"id"` // of the row: image and member
	ImageID   string `db:"image_id"`
	Project   string `db:"member_id"`
	Status    string `db:"status"`
	CreatedAt int64  `db:"created_at"` // microseconds
	UpdatedAt int64  `db:"updated_at"`
}

var rows = db.NewTable[Member]("image_members", "id", "Member")

func key(image, project string) string { return image + "/" + project }

func ofImage(image string) listing.Term {
	return listing.Term{Column: "image_id", Op: listing.Eq, Values: []any{image}}
}

func all(ctx context.Context, q db.Querier, image string) ([]*Member, error) {
	return rows.Find(ctx, q, ofImage(image))
}

func count(ctx context.Context, q db.Querier, image string) (int64, error) {
	return rows.Count(ctx, q, ofImage(image))
}
