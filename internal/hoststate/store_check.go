package hoststate

import (
	"context"

	"github.com/mekcloud/mek/internal/check"
)

var behind = check.Code{ID: "I-35/host-behind", Means: "a host that answers has not taken over what it should have", Remedy: "look at the log of its mek agent, and of mek server for the section"}

// Checks compare the revisions that hosts have reached with those of rows.
func Checks() []check.Check {
	return []check.Check{{Name: "hosts/revisions", Codes: []check.Code{behind}, Run: func(ctx context.Context, l *check.Look) error {
		return l.Each(ctx, "SELECT host, section, revision FROM hoststate_revisions", func(scan func(...any) error) error {
			var host, section string
			var revision int64
			if err := scan(&host, &section, &revision); err != nil {
				return err
			}
			h, alive := l.Host(host)
			if inv, ok := h.Sections[check.Section(section)]; alive && ok && inv.Revision < revision {
				l.Report(behind, check.Of("host", host), "section %s is at revision %d, rows at %d", section, inv.Revision, revision)
			}
			if reason := h.Silent[check.Section(section)]; alive && reason != "" {
				l.Report(behind, check.Of("host", host), "it did not answer for section %s: %s", section, reason)
			}
			return nil
		})
	}}}
}
