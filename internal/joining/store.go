package joining

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/listing"
)

type hostRow struct {
	Name      string `db:"name"`
	KeyHash   string `db:"key_hash"`
	JoinedAt  int64  `db:"joined_at"`
	RenewedAt int64  `db:"renewed_at"`
}

type tokenRow struct {
	ID         string `db:"id"`
	SecretHash string `db:"secret_hash"`
	ExpiresAt  int64  `db:"expires_at"`
	UsedBy     string `db:"used_by"`
}

// serverRow is where hosts reach a server.
type serverRow struct {
	Name    string `db:"name"`
	API     string `db:"api"`
	Bus     string `db:"bus"`
	Streams string `db:"streams"`
	SeenAt  int64  `db:"seen_at"`
}

var (
	hosts  = db.NewTable[hostRow]("joining_hosts", "name", "Host")
	tokens = db.NewTable[tokenRow]("joining_tokens", "id", "Token")
	doors  = db.NewTable[serverRow]("joining_servers", "name", "Server")
)

func byKey(ctx context.Context, q db.Querier, keyHash string) (*hostRow, error) {
	return hosts.One(ctx, q, listing.Term{Column: "key_hash", Values: []any{keyHash}})
}

// dropExpired forgets tokens that no longer work.
func dropExpired(ctx context.Context, tx *db.Tx, now int64) error {
	_, err := tx.ExecContext(ctx, "DELETE FROM joining_tokens WHERE expires_at < $1", now)
	return db.Translate(err, "drop tokens")
}
