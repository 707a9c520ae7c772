package images

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/listing"
)

// selection is a list request, checked: conditions on columns, and what
// concerns the side tables.
type selection struct {
	listing.Query
	tags       []string
	properties []pair
	besides    []span // times that are not wanted
	visibility string // "all", one of them, or empty: all but others' community images
	member     string // membership status that makes shared images visible; "all"
}

type pair struct{ name, value string }

// span is a second of a time column.
type span struct {
	column   string
	from, to int64
}

// viewer is for whom a list is made.
type viewer struct {
	project string
	all     bool // sees every image
}

func list(ctx context.Context, q db.Querier, s selection, v viewer) ([]*image.Image, error) {
	var conds []db.Cond
	for _, t := range s.tags {
		conds = append(conds, db.Cond{SQL: "id IN (SELECT image_id FROM image_tags WHERE tag = ?)", Args: []any{t}})
	}
	for _, p := range s.properties {
		conds = append(conds, db.Cond{SQL: "id IN (SELECT image_id FROM image_properties WHERE name = ? AND value = ?)", Args: []any{p.name, p.value}})
	}
	for _, b := range s.besides {
		cond := db.Cond{SQL: "created_at < ? OR created_at >= ?", Args: []any{b.from, b.to}}
		if b.column == "updated_at" {
			cond.SQL = "updated_at < ? OR updated_at >= ?"
		}
		conds = append(conds, cond)
	}
	var either []db.Cond
	if !v.all {
		either = visibleTo(v.project, s)
	}
	switch s.visibility {
	case "all":
	case "":
		conds = append(conds, db.Cond{SQL: "visibility <> 'community' OR (owner = ? AND owner <> '')", Args: []any{v.project}})
	default:
		s.Query = s.And("visibility", listing.Eq, s.visibility)
	}
	found, err := rows.ListEither(ctx, q, s.Query, either, conds...)
	if err != nil {
		return nil, err
	}
	out := make([]*image.Image, len(found))
	for i, r := range found {
		out[i] = r.image()
	}
	return out, nil
}

// visibleTo is what a project sees, in parts that exclude each other: public
// images, its own, and what others share with it; community images where they
// are asked for, which lists leave out otherwise.
func visibleTo(project string, s selection) []db.Cond {
	out := []db.Cond{{SQL: "visibility = 'public'"}}
	own := db.Cond{SQL: "owner = ? AND owner <> '' AND visibility <> 'public'", Args: []any{project}}
	if s.visibility != "" {
		out = append(out, db.Cond{SQL: "visibility = 'community'"})
		own.SQL += " AND visibility <> 'community'"
	}
	shared := db.Cond{SQL: "visibility = 'shared' AND (owner <> ? OR owner = '') AND id IN (SELECT image_id FROM image_members WHERE member_id = ?", Args: []any{project, project}}
	if s.member != "all" {
		shared.SQL, shared.Args = shared.SQL+" AND status = ?", append(shared.Args, s.member)
	}
	shared.SQL += ")"
	return append(out, own, shared)
}

// membership gives the status of a project's membership, empty when it is none.
func membership(ctx context.Context, q db.Querier, id, project string) (string, error) {
	found, err := members.Find(ctx, q, ofImage(id), listing.Term{Column: "member_id", Op: listing.Eq, Values: []any{project}})
	if err != nil || len(found) == 0 {
		return "", err
	}
	return found[0].Status, nil
}

// memberRow is what this package reads of package members' rows.
type memberRow struct {
	ID      string `db:"id"`
	ImageID string `db:"image_id"`
	Member  string `db:"member_id"`
	Status  string `db:"status"`
}

var members = db.NewTable[memberRow]("image_members", "id", "Member")
