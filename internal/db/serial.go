package db

import "context"

// NextSerial counts up under a name and answers the new number: never one that
// was answered before under it, whatever has been deleted since. A transaction
// that is not committed leaves no mark.
func NextSerial(ctx context.Context, tx *Tx, name string) (n int64, err error) {
	err = tx.QueryRowContext(ctx, "INSERT INTO serials (name, last) VALUES ($1, 1) ON CONFLICT (name) DO UPDATE SET last = serials.last + 1 RETURNING last",
		name).Scan(&n)
	return n, Translate(err, "number "+name)
}
