package servers

import (
	"context"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/listing"
)

// action is one thing that was done to a server, as the API lists it.
type action struct {
	ID        string `db:"id"`
	Server    string `db:"server"`
	Action    string `db:"action"` // "create", "reboot", ...
	RequestID string `db:"request_id"`
	UserID    string `db:"user_id"`
	ProjectID string `db:"project_id"`
	CreatedAt int64  `db:"created_at"`
	UpdatedAt int64  `db:"updated_at"`
	Message   string `db:"message"` // "Error" when it failed
}

// actionEvent is a part of an action.
type actionEvent struct {
	ID         string `db:"id"`
	Action     string `db:"action"`
	Event      string `db:"event"` // "compute__do_build_and_run_instance", ...
	Host       string `db:"host"`
	CreatedAt  int64  `db:"created_at"`
	FinishedAt int64  `db:"finished_at"` // 0: not yet
	Result     string `db:"result"`      // "Success", "Error"
	Details    string `db:"details"`
}

var (
	actionRows = db.NewTable[action]("compute_actions", "id", "Action")
	eventRows  = db.NewTable[actionEvent]("compute_action_events", "id", "Event")
)

// beginAction records that something is being done to a server. The id of the
// action is that of its request on this server.
func beginAction(ctx context.Context, tx *db.Tx, s *Server, name, event, user, request string, now int64) error {
	a := &action{ID: actionID(s.ID, request), Server: s.ID, Action: name, RequestID: request, UserID: user, ProjectID: s.ProjectID, CreatedAt: now, UpdatedAt: now}
	if err := actionRows.Upsert(ctx, tx, a); err != nil || event == "" {
		return err
	}
	return eventRows.Upsert(ctx, tx, &actionEvent{ID: a.ID + "/" + event, Action: a.ID, Event: event, Host: s.Host, CreatedAt: now})
}

func actionID(server, request string) string { return server + "/" + request }

// endAction records how it went; without such an action nothing happens.
func endAction(ctx context.Context, tx *db.Tx, server, request, host string, failure error, now int64) error {
	result, message := "Success", ""
	if failure != nil {
		result, message = "Error", "Error"
	}
	aid := actionID(server, request)
	if _, err := tx.ExecContext(ctx, "UPDATE compute_actions SET updated_at = $1, message = $2 WHERE id = $3", now, message, aid); err != nil {
		return db.Translate(err, "end action")
	}
	details := ""
	if failure != nil {
		details = publicText(failure)
	}
	_, err := tx.ExecContext(ctx, "UPDATE compute_action_events SET finished_at = $1, result = $2, host = $3, details = $4 WHERE action = $5 AND finished_at = 0",
		now, result, host, details, aid)
	return db.Translate(err, "end action")
}

// actionsOf lists what was done to a server, newest first.
func (s store) actionsOf(ctx context.Context, server string, q listing.Query) ([]*action, error) {
	q.Order = []listing.Order{{Column: "created_at", Desc: true}, {Column: "id", Desc: true}}
	return actionRows.List(ctx, s.db, q.And("server", listing.Eq, server))
}

func (s store) actionOf(ctx context.Context, server, request string) (*action, error) {
	return actionRows.Get(ctx, s.db, actionID(server, request))
}

func (s store) eventsOf(ctx context.Context, aid string) ([]*actionEvent, error) {
	return eventRows.List(ctx, s.db, listing.Query{Order: []listing.Order{{Column: "created_at", Desc: true}}}.And("action", listing.Eq, aid))
}

// stamp is the database's form of the time now.
func stamp(c clock.Clock) int64 { return clock.Micros(c.Now()) }

// mint makes n identifiers: before a transaction, since that may run twice.
func mint(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = id.New()
	}
	return out
}
