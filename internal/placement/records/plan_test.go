package records

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/db/dbtest"
)

// What is read after a change must not look through the rows of all hosts.
func TestRefreshReadsOnlyWhatChanged(t *testing.T) {
	d := dbtest.SQLite(t)
	for _, query := range []string{changedInventories, changedUsage, changedTraits, changedAggregates} {
		err := each(t.Context(), d, "explain", "EXPLAIN QUERY PLAN "+query, func(rows *sql.Rows) error {
			var id, parent, unused int
			var detail string
			err := rows.Scan(&id, &parent, &unused, &detail)
			if strings.HasPrefix(detail, "SCAN") {
				t.Errorf("%s: %s", query, detail)
			}
			return err
		}, 1)
		if err != nil {
			t.Fatal(err)
		}
	}
}
