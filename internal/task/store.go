package task

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/listing"
)

const (
	stateLive    = "live"
	stateWaiting = "waiting"
	forward      = "forward"
	backward     = "backward"

	// leaseTime is how long a saga of a dead server waits for another server.
	leaseTime = 30 * time.Second
)

// sagaRow is a saga as stored; see the migration for the columns.
type sagaRow struct {
	ID         string          `db:"id"`
	Op         string          `db:"op"`
	Version    int64           `db:"version"`
	Object     string          `db:"object"`
	ProjectID  string          `db:"project_id"`
	UserID     string          `db:"user_id"`
	RequestID  string          `db:"request_id"`
	State      string          `db:"state"`
	Shared     bool            `db:"shared"`
	Preempt    bool            `db:"preempt"`
	Cancel     bool            `db:"cancel"`
	Direction  string          `db:"direction"`
	Step       string          `db:"step"`
	Attempts   int64           `db:"attempts"`
	NotBefore  int64           `db:"not_before"`
	Deadline   int64           `db:"deadline"`
	Params     string          `db:"params"`
	Saved      string          `db:"saved"`
	Error      db.JSON[*cause] `db:"error"`
	Owner      string          `db:"owner"`
	Epoch      int64           `db:"epoch"`
	LeaseUntil int64           `db:"lease_until"`
	CreatedAt  int64           `db:"created_at"`
	UpdatedAt  int64           `db:"updated_at"`
}

type cleanupRow struct {
	ID        string `db:"id"`
	Owner     string `db:"owner"`
	Saga      string `db:"saga"`
	Op        string `db:"op"`
	Step      string `db:"step"`
	Object    string `db:"object"`
	ProjectID string `db:"project_id"`
	Params    string `db:"params"`
	Saved     string `db:"saved"`
	Error     string `db:"error"`
	Attempts  int64  `db:"attempts"`
	NotBefore int64  `db:"not_before"`
	CreatedAt int64  `db:"created_at"`
}

var (
	sagas    = db.NewTable[sagaRow]("task_sagas", "id", "Task")
	cleanups = db.NewTable[cleanupRow]("task_cleanups", "id", "Clean-up")
)

// errLost says that another engine owns the saga now, or that it has ended.
var errLost = errors.New("the saga is owned by another server")

func eq(column string, value any) listing.Term {
	return listing.Term{Column: column, Op: listing.Eq, Values: []any{value}}
}

// insertSaga tells false when another exclusive saga of the object is live.
func insertSaga(ctx context.Context, tx *db.Tx, r *sagaRow) (bool, error) {
	done, err := tx.ExecContext(ctx, `INSERT INTO task_sagas (id, op, version, object, project_id, user_id, request_id, state, shared, preempt,
		cancel, direction, step, attempts, not_before, deadline, params, saved, error, owner, epoch, lease_until, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)
		ON CONFLICT DO NOTHING`,
		r.ID, r.Op, r.Version, r.Object, r.ProjectID, r.UserID, r.RequestID, r.State, r.Shared, r.Preempt, r.Cancel, r.Direction, r.Step,
		r.Attempts, r.NotBefore, r.Deadline, r.Params, r.Saved, r.Error, r.Owner, r.Epoch, r.LeaseUntil, r.CreatedAt, r.UpdatedAt)
	if err != nil {
		return false, db.Translate(err, "insert saga")
	}
	n, err := done.RowsAffected()
	return n == 1, err
}

// cancelSaga tells false when the saga has ended meanwhile.
func cancelSaga(ctx context.Context, tx *db.Tx, id string) (bool, error) {
	done, err := tx.ExecContext(ctx, "UPDATE task_sagas SET cancel = $1, not_before = 0 WHERE id = $2", true, id)
	if err != nil {
		return false, db.Translate(err, "cancel saga")
	}
	n, err := done.RowsAffected()
	return n == 1, err
}

// claim takes a saga over under a new epoch; errLost when somebody was faster.
func claim(ctx context.Context, tx *db.Tx, r *sagaRow, self string, now time.Time) (*sagaRow, error) {
	done, err := tx.ExecContext(ctx, `UPDATE task_sagas SET owner = $1, epoch = epoch + 1, lease_until = $2
		WHERE id = $3 AND state = 'live' AND owner = $4 AND epoch = $5`,
		self, clock.Micros(now.Add(leaseTime)), r.ID, r.Owner, r.Epoch)
	if err != nil {
		return nil, db.Translate(err, "claim saga")
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return nil, errors.Join(errLost, err)
	}
	return sagas.Get(ctx, tx, r.ID)
}

// record writes where a saga is, if this owner and epoch still hold it, and
// reads back whether it was cancelled.
func record(ctx context.Context, tx *db.Tx, r *sagaRow, now time.Time) error {
	rows, err := tx.QueryContext(ctx, `UPDATE task_sagas SET direction = $1, step = $2, attempts = $3, not_before = $4, saved = $5, error = $6,
		lease_until = $7, updated_at = $8 WHERE id = $9 AND owner = $10 AND epoch = $11 RETURNING cancel`,
		r.Direction, r.Step, r.Attempts, r.NotBefore, r.Saved, r.Error, clock.Micros(now.Add(leaseTime)), clock.Micros(now), r.ID, r.Owner, r.Epoch)
	if err != nil {
		return db.Translate(err, "record saga")
	}
	return readCancel(rows, r)
}

// readCancel closes the rows of a statement on a saga that its owner holds.
func readCancel(rows *sql.Rows, r *sagaRow) error {
	defer rows.Close()
	if !rows.Next() {
		return errors.Join(errLost, rows.Err())
	}
	if err := rows.Scan(&r.Cancel); err != nil {
		return db.Translate(err, "record saga")
	}
	return rows.Err()
}

// give makes another server the owner of a saga, if this owner and epoch still hold it.
func give(ctx context.Context, tx *db.Tx, r *sagaRow, to string, now time.Time) error {
	done, err := tx.ExecContext(ctx, `UPDATE task_sagas SET owner = $1, epoch = epoch + 1, lease_until = $2, not_before = $3, attempts = $4
		WHERE id = $5 AND owner = $6 AND epoch = $7 AND state = 'live'`,
		to, clock.Micros(now.Add(leaseTime)), r.NotBefore, r.Attempts, r.ID, r.Owner, r.Epoch)
	if err != nil {
		return db.Translate(err, "hand saga over")
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return errors.Join(errLost, err)
	}
	return nil
}

// finish removes a saga that ended and makes the next of its object live, if
// one waits. The promoted saga belongs to the same owner.
func finish(ctx context.Context, tx *db.Tx, r *sagaRow, now time.Time) (next *sagaRow, err error) {
	rows, err := tx.QueryContext(ctx, "DELETE FROM task_sagas WHERE id = $1 AND owner = $2 AND epoch = $3 RETURNING cancel", r.ID, r.Owner, r.Epoch)
	if err != nil {
		return nil, db.Translate(err, "end saga")
	}
	if err := readCancel(rows, r); err != nil {
		return nil, err
	}
	return promote(ctx, tx, r.Object, r.Owner, now)
}

// promote makes the oldest waiting saga of an object live when no other is.
func promote(ctx context.Context, tx *db.Tx, object, self string, now time.Time) (*sagaRow, error) {
	others, err := sagas.Find(ctx, tx, eq("object", object))
	if err != nil {
		return nil, err
	}
	var next *sagaRow
	for _, o := range others {
		if o.State == stateLive {
			return nil, nil
		}
		if next == nil {
			next = o
		}
	}
	if next == nil {
		return nil, nil
	}
	done, err := tx.ExecContext(ctx, "UPDATE task_sagas SET state = 'live', owner = $1, epoch = epoch + 1, lease_until = $2 WHERE id = $3 AND state = 'waiting'",
		self, clock.Micros(now.Add(leaseTime)), next.ID)
	if err != nil {
		return nil, db.Translate(err, "start waiting saga")
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return nil, err
	}
	return next, nil
}

// renew prolongs all leases of an owner and returns which of its sagas are cancelled.
func renew(ctx context.Context, tx *db.Tx, self string, now time.Time) ([]string, error) {
	rows, err := tx.QueryContext(ctx, "UPDATE task_sagas SET lease_until = $1 WHERE owner = $2 AND state = 'live' AND lease_until > 0 RETURNING id, cancel",
		clock.Micros(now.Add(leaseTime)), self)
	if err != nil {
		return nil, db.Translate(err, "renew leases")
	}
	defer rows.Close()
	var cancelled []string
	for rows.Next() {
		var id string
		var cancel bool
		if err := rows.Scan(&id, &cancel); err != nil {
			return nil, db.Translate(err, "renew leases")
		}
		if cancel {
			cancelled = append(cancelled, id)
		}
	}
	return cancelled, db.Translate(rows.Err(), "renew leases")
}

// release lets other servers take an owner's sagas at once.
func release(ctx context.Context, tx *db.Tx, self string) error {
	_, err := tx.ExecContext(ctx, "UPDATE task_sagas SET lease_until = 0 WHERE owner = $1 AND state = 'live'", self)
	return db.Translate(err, "release leases")
}

// hurry makes an owner's clean-ups due.
func hurry(ctx context.Context, tx *db.Tx, owner string) error {
	_, err := tx.ExecContext(ctx, "UPDATE task_cleanups SET not_before = 0 WHERE owner = $1", owner)
	return db.Translate(err, "hurry clean-ups")
}

// takeCleanup tells false when another server took it.
func takeCleanup(ctx context.Context, tx *db.Tx, row *cleanupRow, next int64) (bool, error) {
	done, err := tx.ExecContext(ctx, "UPDATE task_cleanups SET not_before = $1, attempts = attempts + 1 WHERE id = $2 AND not_before = $3",
		next, row.ID, row.NotBefore)
	if err != nil {
		return false, db.Translate(err, "take clean-up")
	}
	n, err := done.RowsAffected()
	return n == 1, err
}

// postpone moves what an owner's sagas and all clean-ups wait for.
func postpone(ctx context.Context, tx *db.Tx, owner string, by int64) error {
	if _, err := tx.ExecContext(ctx, `UPDATE task_sagas SET deadline = deadline + $1, not_before = CASE WHEN not_before = 0 THEN 0 ELSE not_before + $1 END
		WHERE owner = $2`, by, owner); err != nil {
		return db.Translate(err, "move deadlines")
	}
	_, err := tx.ExecContext(ctx, "UPDATE task_cleanups SET not_before = not_before + $1 WHERE not_before > 0 AND $1 < 0", by)
	return db.Translate(err, "move clean-ups")
}
