package consoles

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
)

// row is one token; it is found by the hash of what the address carries.
type row struct {
	Hash      string `db:"hash"`
	ServerID  string `db:"server_id"`
	Build     int64  `db:"build"`
	Kind      string `db:"kind"`
	ExpiresAt int64  `db:"expires_at"`
	Used      bool   `db:"used"`
	Standing  string `db:"standing"` // of who asked for it
}

var rows = db.NewTable[row]("compute_console_tokens", "hash", "Console token")

func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// take uses a token up. NotFound when it is unknown, used or expired.
func take(ctx context.Context, d *db.DB, token string, now int64) (*row, error) {
	var out *row
	err := d.Write(ctx, func(tx *db.Tx) error {
		r, err := rows.GetForUpdate(ctx, tx, hash(token))
		if err != nil {
			return err
		}
		if r.Used || r.ExpiresAt <= now {
			return fault.NotFoundf("The token is used up or expired.")
		}
		r.Used, out = true, r
		return rows.Update(ctx, tx, r)
	})
	return out, err
}

// sweep drops tokens that no longer work.
func sweep(ctx context.Context, tx *db.Tx, now int64) error {
	_, err := rows.DeleteWhere(ctx, tx, listing.Term{Column: "expires_at", Op: listing.LessEq, Values: []any{now}})
	return err
}
