package hoststate

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/listing"
)

// Kept is one object that a host keeps beside or instead of what it is told: the
// row of hostlink.Kept.
type Kept struct {
	Host    string `db:"host" json:"host"`
	Section string `db:"section" json:"section"`
	Object  string `db:"object" json:"object"`
	Kind    string `db:"kind" json:"kind"`
	Epoch   int64  `db:"epoch" json:"epoch"`
	Spec    string `db:"spec" json:"spec,omitempty"`
	Since   int64  `db:"since" json:"since"` // microseconds since 1970
}

var kept = db.NewTable[Kept]("hoststate_kept", "object", "Kept object")

// KeptObjects lists what all hosts keep.
func KeptObjects(ctx context.Context, q db.Querier, where ...listing.Term) ([]Kept, error) {
	found, err := kept.Find(ctx, q, where...)
	out := make([]Kept, 0, len(found))
	for _, k := range found {
		out = append(out, *k)
	}
	slices.SortFunc(out, func(a, b Kept) int {
		return slices.Compare([]string{a.Host, a.Section, a.Object}, []string{b.Host, b.Section, b.Object})
	})
	return out, err
}

// Keeper files what hosts say that they keep. Make it with NewKeeper.
type Keeper struct {
	db    *db.DB
	clock clock.Clock

	mu    sync.Mutex
	known map[[2]string]string // per host and section, as filed by this process last
}

// NewKeeper makes it.
func NewKeeper(d *db.DB, c clock.Clock) *Keeper {
	return &Keeper{db: d, clock: c, known: map[[2]string]string{}}
}

// File replaces what was on file of a host's section. It costs nothing when
// this process filed the same before.
func (k *Keeper) File(ctx context.Context, host, section string, list []Kept) error {
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	at := [2]string{host, section}
	k.mu.Lock()
	was, known := k.known[at]
	k.mu.Unlock()
	if known && was == string(text) {
		return nil
	}
	if err := k.file(ctx, host, section, list); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known[at] = string(text)
	return nil
}

func (k *Keeper) file(ctx context.Context, host, section string, list []Kept) error {
	here := []listing.Term{{Column: "host", Op: listing.Eq, Values: []any{host}}, {Column: "section", Op: listing.Eq, Values: []any{section}}}
	old, err := KeptObjects(ctx, k.db, here...)
	if err != nil || len(old)+len(list) == 0 {
		return err
	}
	now := clock.Micros(k.clock.Now())
	return k.db.Write(ctx, func(tx *db.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM hoststate_kept WHERE host = $1 AND section = $2", host, section); err != nil {
			return db.Translate(err, "replace what a host keeps")
		}
		for _, one := range list {
			one.Host, one.Section, one.Since = host, section, now
			for _, before := range old {
				if before.Object == one.Object && before.Epoch == one.Epoch {
					one.Since = before.Since
				}
			}
			if err := kept.Insert(ctx, tx, &one); err != nil {
				return err
			}
		}
		return nil
	})
}
