package aggregates

import (
	"context"
	"slices"

	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/listing"
)

// named is an aggregate as events tell of it.
type named struct {
	Serial int64  `json:"id"`
	ID     string `json:"uuid"`
	Name   string `json:"name"`
}

// imageRequest is what was asked of the hosts of an aggregate.
type imageRequest struct {
	ID        string            `db:"id"`
	Aggregate db.JSON[named]    `db:"aggregate"` // as it was then
	Images    db.JSON[[]string] `db:"images"`
	Total     int64             `db:"total"` // hosts
	Done      int64             `db:"done"`
	ProjectID string            `db:"project_id"` // whose user asked
	UserID    string            `db:"user_id"`
	RequestID string            `db:"request_id"`
}

// imageHost is a host that has not answered a request yet. One that is running
// has a saga, whose object the row is.
type imageHost struct {
	ID        string `db:"id"`
	Request   string `db:"request"`
	Host      string `db:"host"`
	Running   bool   `db:"running"`
	CreatedAt int64  `db:"created_at"` // microseconds
}

var (
	imageRequests = db.NewTable[imageRequest]("compute_image_requests", "id", "Image request")
	imageHosts    = db.NewTable[imageHost]("compute_image_hosts", "id", "Host of an image request")
)

// takeTurns makes transactions that give turns away wait for each other.
func takeTurns(ctx context.Context, tx *db.Tx) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO toolkit_facts (name, value) VALUES ('compute.images.turns', '')
		ON CONFLICT (name) DO UPDATE SET value = ''`)
	return db.Translate(err, "take turns")
}

// nextHosts are the hosts that have waited longest, at most so many.
func nextHosts(ctx context.Context, tx *db.Tx, most int64) ([]*imageHost, error) {
	if most <= 0 {
		return nil, nil
	}
	q := listing.Query{Limit: int(most), Order: []listing.Order{{Column: "created_at"}}}
	return imageHosts.List(ctx, tx, q.And("running", listing.Eq, false))
}

// fetching tells whether a host has its turn for an image.
func fetching(ctx context.Context, q db.Querier, host, image string) (bool, error) {
	turns, err := imageHosts.Find(ctx, q, is("host", host), is("running", true))
	for _, one := range turns {
		r, err := imageRequests.Get(ctx, q, one.Request)
		if err != nil || slices.Contains(r.Images.V, image) {
			return err == nil, err
		}
	}
	return false, err
}

var (
	lostTurn    = check.Code{ID: "I-13/image-turn", Means: "a host has its turn to fetch images and no operation does it", Remedy: "report it with this line"}
	lostRequest = check.Code{ID: "I-37/image-request", Means: "hosts of a request to fetch images are forgotten, or counted twice", Remedy: "report it with this line"}
)

// Checks are the conservation queries of images fetched ahead.
func (s *Aggregates) Checks() []check.Check {
	return []check.Check{
		check.Queries("compute/image-requests", check.Query{Code: lostRequest, Kind: "image request", SQL: `SELECT r.id, 'hosts that wait and that are done are not all hosts', ''
			FROM compute_image_requests r WHERE r.total <> r.done + (SELECT COUNT(*) FROM compute_image_hosts h WHERE h.request = r.id) OR r.total = r.done`}),
		{Name: "compute/image-turns", Codes: []check.Code{lostTurn}, Rows: true, Run: checkTurns},
	}
}

func checkTurns(ctx context.Context, l *check.Look) error {
	turns, err := imageHosts.Find(ctx, l, is("running", true))
	for _, one := range turns {
		if len(l.SagasOf(one.ID)) == 0 {
			l.Report(lostTurn, check.Of("image request", one.Request), "host %s has its turn %s, and no saga has that", one.Host, one.ID)
		}
	}
	return err
}
