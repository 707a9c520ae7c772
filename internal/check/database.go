package check

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
)

var (
	damaged = Code{"I-37/damaged", "the database says that it is damaged", "stop the cloud and restore the last backup"}
	broken  = Code{"I-37/dangling-row", "a row refers to a row that is not there", "report it with this line; nothing is lost yet"}
	below   = Code{"I-11/negative", "a quantity is below zero", "report it with this line; the service's own recount says which object"}
)

// unlimited are columns in which -1 stands for "none" or "no limit".
var unlimited = map[string]bool{
	"network_rules.port_min": true, "network_rules.port_max": true, "network_rule_templates.port_min": true, "network_rule_templates.port_max": true,
	"quota_limits.hard_limit": true, "identity_limits.resource_limit": true, "identity_registered_limits.default_limit": true,
	"identity_trusts.remaining_uses": true, "image_images.size": true, "image_images.virtual_size": true,
}

// Database checks what holds for every table: the file is whole, references
// lead somewhere, no quantity is negative.
func Database(d *db.DB) []Check {
	return []Check{
		{Name: "database/integrity", Codes: []Code{damaged, broken}, Rows: true, Run: func(ctx context.Context, l *Look) error {
			for code, ask := range map[*Code]func(context.Context, db.Querier) ([]db.Problem, error){&damaged: d.Damage, &broken: d.Dangling} {
				list, err := ask(ctx, l.Querier)
				if err != nil {
					return err
				}
				for _, p := range list {
					l.Report(*code, Of("", p.Subject), "%s", p.Text)
				}
			}
			return nil
		}},
		{Name: "database/quantities", Codes: []Code{below}, Rows: true, Run: func(ctx context.Context, l *Look) error {
			columns, err := d.Quantities(ctx, l.Querier)
			if err != nil {
				return err
			}
			for _, column := range columns {
				limit := int64(0)
				if unlimited[column] {
					limit = -1
				}
				n, err := d.Below(ctx, l.Querier, column, limit)
				if err != nil {
					return err
				}
				if n > 0 {
					l.Report(below, Of("column", column), "%d rows are below %d", n, limit)
				}
			}
			return nil
		}},
	}
}
