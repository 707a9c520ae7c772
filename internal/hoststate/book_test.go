package hoststate_test

import (
	"testing"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hoststate"
)

// What a host accepted counts as what it should have only as long as nothing
// was raised since.
func TestBookForgetsWhatWasRaised(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, book := t.Context(), hoststate.NewBook(d)
		raise := func(section string) {
			t.Helper()
			if err := d.Write(ctx, func(tx *db.Tx) error { _, err := hoststate.Raise(ctx, tx, "h", section); return err }); err != nil {
				t.Fatal(err)
			}
		}
		told := func(want ...hostlink.Held) {
			t.Helper()
			got, err := book.Told(ctx, "h")
			if err != nil || len(got) != len(want) {
				t.Fatalf("%+v, %v; want %+v", got, err, want)
			}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("%+v, want %+v", got[i], want[i])
				}
			}
		}
		raise("guests")
		guests, volumes := hostlink.Held{Section: "guests", Revision: 1, Digest: "a", Epoch: 3}, hostlink.Held{Section: "volumes", Digest: "b"}
		if err := book.File(ctx, []hostlink.Accepted{{Host: "h", Held: guests}, {Host: "h", Held: volumes}, {Host: "other", Held: guests}}); err != nil {
			t.Fatal(err)
		}
		told(guests, volumes)
		raise("guests")
		told(volumes)
		guests.Revision, guests.Digest = 2, "c"
		if err := book.File(ctx, []hostlink.Accepted{{Host: "h", Held: guests}}); err != nil {
			t.Fatal(err)
		}
		told(guests, volumes)
		all, err := book.Revisions(ctx)
		if err != nil || len(all) != 1 || all[hostlink.HostSection{Host: "h", Section: "guests"}] != 2 {
			t.Errorf("revisions %v, %v", all, err)
		}
		if err := d.Write(ctx, func(tx *db.Tx) error { return hoststate.Forget(ctx, tx, "h") }); err != nil {
			t.Fatal(err)
		}
		told()
	})
}
