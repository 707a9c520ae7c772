package identity

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
)

// ServiceType is this service's word in the catalog and in audit records.
const ServiceType = "identity"

// Changes is told of every change of identity rows inside its transaction. It
// writes the audit record, makes all servers forget what they computed from
// rows, and ends the tokens of subjects. Only Action, Kind, Object and
// ProjectID of the record need to be set. A Revocation needs Subject and Key.
type Changes interface {
	Changed(ctx context.Context, tx *db.Tx, what event.Record, ended ...Revocation) error
}

// Change makes the record of a change.
func Change(action, kind, object string) event.Record {
	return event.Record{Service: ServiceType, Action: action, Kind: kind, Object: object}
}
