package servers

import (
	"cmp"
	"context"
	"slices"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/listing"
)

// life is one server as usage reports count it.
type life struct {
	ID, ProjectID, Name, Flavor, State string
	VCPUs, MemoryMiB, DiskGiB          int
	LaunchedAt                         int64 // microseconds
	EndedAt                            int64 // 0: it lives
}

type endedRow struct {
	ID         string        `db:"id"`
	ProjectID  string        `db:"project_id"`
	LaunchedAt int64         `db:"launched_at"`
	EndedAt    int64         `db:"ended_at"`
	Data       db.JSON[life] `db:"data"`
}

var endedRows = db.NewTable[endedRow]("compute_ended_servers", "id", "Instance")

func lifeOf(s *Server) life {
	f := s.Flavor
	return life{ID: s.ID, ProjectID: s.ProjectID, Name: s.Name, Flavor: f.Name, State: string(s.VM), VCPUs: f.VCPUs, MemoryMiB: f.MemoryMiB,
		DiskGiB: f.RootGiB + f.EphemGiB, LaunchedAt: s.LaunchedAt}
}

// keepLife notes a server that is being deleted, if it ever ran.
func keepLife(ctx context.Context, tx *db.Tx, s *Server, now int64) error {
	if s.LaunchedAt == 0 {
		return nil
	}
	l := lifeOf(s)
	l.EndedAt, l.State = now, "terminated"
	return endedRows.Upsert(ctx, tx, &endedRow{l.ID, l.ProjectID, l.LaunchedAt, now, db.J(l)})
}

// lives lists the servers that lived between two times, of one project or of
// all, ordered by project and id, behind a marker, at most limit of them.
func (s store) lives(ctx context.Context, project string, start, end int64, marker string, limit int) ([]life, error) {
	of := func(q listing.Query) listing.Query {
		if project != "" {
			q = q.And("project_id", listing.Eq, project)
		}
		return q.And("launched_at", listing.LessEq, end)
	}
	living, err := serverRows.List(ctx, s.db, of(listing.Query{}).And("launched_at", listing.More, int64(0)))
	if err != nil {
		return nil, err
	}
	ended, err := endedRows.List(ctx, s.db, of(listing.Query{Order: []listing.Order{{Column: "id"}}}).And("ended_at", listing.MoreEq, start))
	if err != nil {
		return nil, err
	}
	var out []life
	for _, r := range living {
		out = append(out, lifeOf(r.server()))
	}
	for _, r := range ended {
		out = append(out, r.Data.V)
	}
	slices.SortFunc(out, func(a, b life) int { return cmp.Or(cmp.Compare(a.ProjectID, b.ProjectID), cmp.Compare(a.ID, b.ID)) })
	if marker != "" {
		at := slices.IndexFunc(out, func(l life) bool { return l.ID == marker })
		if at < 0 {
			return nil, noMarker(marker)
		}
		out = out[at+1:]
	}
	return out[:min(limit, len(out))], nil
}

// prune forgets what is older than a time of servers that are gone: their
// lives, their moves and what was done to them.
func (s store) prune(ctx context.Context, before int64) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		for _, text := range []string{
			"DELETE FROM compute_ended_servers WHERE ended_at < $1",
			"DELETE FROM compute_migrations WHERE updated_at < $1 AND unsettled = false AND server NOT IN (SELECT id FROM compute_servers)",
			"DELETE FROM compute_actions WHERE updated_at < $1 AND server NOT IN (SELECT id FROM compute_servers)",
		} {
			if _, err := tx.ExecContext(ctx, text, before); err != nil {
				return db.Translate(err, "forget servers that are gone")
			}
		}
		return nil
	})
}
