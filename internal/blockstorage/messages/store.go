package messages

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/listing"
)

// keep is how long a message is guaranteed to be there.
const keep = 30 * 24 * time.Hour

// message is one as kept.
type message struct {
	ID         string `db:"id"`
	ProjectID  string `db:"project_id"`
	RequestID  string `db:"request_id"`
	Kind       string `db:"kind"` // "VOLUME", "VOLUME_SNAPSHOT"
	ResourceID string `db:"resource_id"`
	EventID    string `db:"event_id"`
	Text       string `db:"text"`
	CreatedAt  int64  `db:"created_at"`
}

var rows = db.NewTable[message]("blockstorage_messages", "id", "Message")

// Store keeps messages. Safe for concurrent use.
type Store struct {
	db    *db.DB
	clock clock.Clock
}

var _ blockstorage.Messages = (*Store)(nil)

// NewStore makes a store.
func NewStore(d *db.DB, c clock.Clock) *Store { return &Store{d, c} }

// Tell writes a message and forgets those that are older than is promised.
func (s *Store) Tell(ctx context.Context, tx *db.Tx, m blockstorage.Message) error {
	now := s.clock.Now()
	if _, err := rows.DeleteWhere(ctx, tx, listing.Term{Column: "created_at", Op: listing.Less, Values: []any{clock.Micros(now.Add(-keep))}}); err != nil {
		return err
	}
	return rows.Insert(ctx, tx, &message{ID: id.New(), ProjectID: m.ProjectID, RequestID: m.RequestID, Kind: m.Kind, ResourceID: m.ResourceID,
		EventID: m.Kind + "_" + m.Event, Text: m.Text, CreatedAt: clock.Micros(now)})
}

// List loads a page.
func (s *Store) List(ctx context.Context, q listing.Query) ([]*message, error) {
	return rows.List(ctx, s.db, q)
}

// Get loads one.
func (s *Store) Get(ctx context.Context, id string) (*message, error) {
	m, err := rows.Get(ctx, s.db, id)
	if fault.Is(err, fault.NotFound) {
		return nil, notFound(id)
	}
	return m, err
}

func notFound(id string) error { return fault.NotFoundf("Message %s could not be found.", id) }
