package outbox

import (
	"context"

	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/fault"
)

var tampered = check.Code{ID: "I-24/chain", Means: "an audit record was changed or is missing", Remedy: "the database was changed by hand: compare with a backup"}

// Checks recompute the chain of audit records.
func Checks() []check.Check {
	return []check.Check{{Name: "audit/chain", Codes: []check.Code{tampered}, Rows: true, Run: func(ctx context.Context, l *check.Look) error {
		err := Verify(ctx, l)
		if fault.Is(err, fault.Internal) {
			l.Report(tampered, check.Of("", "audit log"), "%v", err)
			return nil
		}
		return err
	}}}
}
