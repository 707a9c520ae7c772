package check

import (
	"context"
	"strings"

	"github.com/mekcloud/mek/internal/automaton"
	"github.com/mekcloud/mek/internal/db"
)

// States checks that every object is in a state of its kind (I-15). How it got
// there nobody can tell from rows; test clouds watch that.
func States(d *db.DB, lives ...automaton.Automaton) []Check {
	var out []Check
	for _, a := range lives {
		code := Code{"I-15/" + strings.ReplaceAll(strings.ToLower(a.Kind), " ", "-") + "-state", "a " + a.Kind + " in a state that there is not", "report it with this line"}
		out = append(out, Check{Name: "states/" + a.Kind, Codes: []Code{code}, Rows: true, Run: func(ctx context.Context, l *Look) error {
			list, err := d.Strays(ctx, l.Querier, a.Table, a.Column, a.States())
			for _, p := range list {
				l.Report(code, Of(a.Kind, p.Subject), "its state is %q", p.Text)
			}
			return err
		}})
	}
	return out
}
