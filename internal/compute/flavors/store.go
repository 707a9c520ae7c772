package flavors

import (
	"context"
	"strconv"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/listing"
)

type row struct {
	ID          string                     `db:"id"`
	Name        string                     `db:"name"`
	Description string                     `db:"description"`
	Described   bool                       `db:"described"`
	VCPUs       int                        `db:"vcpus"`
	MemoryMiB   int                        `db:"memory_mib"`
	RootGiB     int                        `db:"root_gib"`
	EphemGiB    int                        `db:"ephem_gib"`
	SwapMiB     int                        `db:"swap_mib"`
	RXTXFactor  string                     `db:"rxtx_factor"`
	Public      bool                       `db:"is_public"`
	Disabled    bool                       `db:"disabled"`
	ExtraSpecs  db.JSON[map[string]string] `db:"extra_specs"`
	CreatedAt   int64                      `db:"created_at"`
}

type accessRow struct {
	Flavor    string `db:"flavor"`
	ProjectID string `db:"project_id"`
}

var (
	flavorRows = db.NewTable[row]("compute_flavors", "id", "Flavor")
	accessRows = db.NewTable[accessRow]("compute_flavor_access", "flavor", "Flavor access")
)

// usableBy is the pseudo column by which lists are confined to what a project may use.
const usableBy = "@usable_by"

type store struct{ db *db.DB }

func toRow(f *compute.Flavor) *row {
	specs := f.ExtraSpecs
	if specs == nil {
		specs = map[string]string{}
	}
	return &row{f.ID, f.Name, f.Description, f.Described, f.VCPUs, f.MemoryMiB, f.RootGiB, f.EphemGiB, f.SwapMiB,
		strconv.FormatFloat(f.RXTXFactor, 'g', -1, 64), f.Public, f.Disabled, db.J(specs), f.CreatedAt}
}

func (r *row) flavor() *compute.Flavor {
	factor, err := strconv.ParseFloat(r.RXTXFactor, 64)
	if err != nil {
		factor = 1 // written by toRow; a damaged value must not hide the flavor
	}
	specs := r.ExtraSpecs.V
	if specs == nil {
		specs = map[string]string{}
	}
	return &compute.Flavor{ID: r.ID, Name: r.Name, Description: r.Description, Described: r.Described, VCPUs: r.VCPUs, MemoryMiB: r.MemoryMiB,
		RootGiB: r.RootGiB, EphemGiB: r.EphemGiB, SwapMiB: r.SwapMiB, RXTXFactor: factor, Public: r.Public, Disabled: r.Disabled,
		ExtraSpecs: specs, CreatedAt: r.CreatedAt}
}

// List loads flavors; a term on usableBy confines them.
func (s store) List(ctx context.Context, q listing.Query) ([]*compute.Flavor, error) {
	var extra []db.Cond
	where := q.Where[:0:0]
	for _, t := range q.Where {
		if t.Column == usableBy {
			extra = append(extra, db.Cond{SQL: "is_public OR id IN (SELECT flavor FROM compute_flavor_access WHERE project_id = ?)", Args: t.Values})
			continue
		}
		where = append(where, t)
	}
	q.Where = where
	rows, err := flavorRows.List(ctx, s.db, q, extra...)
	out := make([]*compute.Flavor, len(rows))
	for i, r := range rows {
		out[i] = r.flavor()
	}
	return out, err
}

// Get loads one flavor by its id.
func (s store) Get(ctx context.Context, id string) (*compute.Flavor, error) {
	r, err := flavorRows.Get(ctx, s.db, id)
	if err != nil {
		return nil, err
	}
	return r.flavor(), nil
}

func (s store) update(ctx context.Context, tx *db.Tx, id string, change func(*compute.Flavor) error) (*compute.Flavor, error) {
	r, err := flavorRows.GetForUpdate(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	f := r.flavor()
	if err := change(f); err != nil {
		return nil, err
	}
	return f, flavorRows.Update(ctx, tx, toRow(f))
}

func (s store) access(ctx context.Context, id string) ([]string, error) {
	rows, err := accessRows.Find(ctx, s.db, listing.Term{Column: "flavor", Values: []any{id}})
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = r.ProjectID
	}
	return out, err
}

func (s store) mayUse(ctx context.Context, id, project string) (bool, error) {
	n, err := accessRows.Count(ctx, s.db, listing.Term{Column: "flavor", Values: []any{id}}, listing.Term{Column: "project_id", Values: []any{project}})
	return n > 0, err
}
