package hoststate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
)

// epochName is the fact that says which epoch the database is in: microseconds
// since 1970 of its beginning, so that two restores of one backup differ. A
// database that never went back in time has none, which is 0.
const epochName = "hoststate.epoch"

// Epoch is the present epoch: see hostlink.Document.
func Epoch(ctx context.Context, q db.Querier) (int64, error) {
	var text string
	err := q.QueryRowContext(ctx, "SELECT value FROM toolkit_facts WHERE name = $1", epochName).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, db.Translate(err, "read epoch")
	}
	epoch, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read epoch: %w", err)
	}
	return epoch, nil
}

// BeginEpoch begins an epoch that is later than the present one and than above.
func BeginEpoch(ctx context.Context, tx *db.Tx, above int64, now time.Time) (int64, error) {
	epoch, err := Epoch(ctx, tx)
	if err != nil {
		return 0, err
	}
	epoch = max(epoch+1, above+1, clock.Micros(now))
	_, err = tx.ExecContext(ctx, `INSERT INTO toolkit_facts (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = $2`, epochName, strconv.FormatInt(epoch, 10))
	return epoch, db.Translate(err, "begin epoch")
}

// How the server believes hosts that claim to be ahead of the database. A host is
// not trusted: it may cost the others a document each, and not often.
const (
	epochPause  = 10 * time.Minute
	epochFuture = 24 * time.Hour
)

// Epochs implements hub.Epochs. Make it with NewEpochs.
type Epochs struct {
	db    *db.DB
	clock clock.Clock

	mu   sync.Mutex
	last time.Time // of the last one begun here
}

// NewEpochs makes it.
func NewEpochs(d *db.DB, c clock.Clock) *Epochs { return &Epochs{db: d, clock: c} }

// Current is the present epoch.
func (e *Epochs) Current(ctx context.Context) (int64, error) { return Epoch(ctx, e.db) }

// Next begins an epoch later than above, unless another began meanwhile, one
// began a moment ago, or above is beyond belief.
func (e *Epochs) Next(ctx context.Context, above int64) (int64, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.clock.Now()
	epoch, err := Epoch(ctx, e.db)
	if err != nil || epoch > above || above > clock.Micros(now.Add(epochFuture)) || !e.last.IsZero() && now.Sub(e.last) < epochPause {
		return epoch, err
	}
	err = e.db.Write(ctx, func(tx *db.Tx) error {
		epoch, err = BeginEpoch(ctx, tx, above, now)
		return err
	})
	if err == nil {
		e.last = now
	}
	return epoch, err
}
