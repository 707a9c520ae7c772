package records

import (
	"testing"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/network"
)

// The ports in a trunk have the status of their parent, also in a cloud that has
// been known to have no trunks.
func TestSubPortsFollowTheirParent(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		crowdedNetworks(t, d, 1, 1)
		r := New(d, clock.Real{}, Watchers{})
		report := func(status network.PortStatus) {
			t.Helper()
			if err := d.Write(t.Context(), func(tx *db.Tx) error { return r.SetStatus(t.Context(), tx, "h", "port-net-000", status) }); err != nil {
				t.Fatal(err)
			}
		}
		report(network.PortActive)
		report(network.PortDown)
		if err := d.Write(t.Context(), func(tx *db.Tx) error {
			if err := trunkRows.Insert(t.Context(), tx, &trunkRow{standard: standard{ID: "t"}, PortID: "port-net-000", AdminStateUp: true}); err != nil {
				return err
			}
			return r.AddSubPort(t.Context(), tx, "t", network.SubPort{PortID: "net-0000", SegmentationType: "vlan", SegmentationID: 7})
		}); err != nil {
			t.Fatal(err)
		}
		report(network.PortActive)
		if sub, err := portRows.Get(t.Context(), d, "net-0000"); err != nil || sub.Status != string(network.PortActive) {
			t.Errorf("%+v, %v", sub, err)
		}
	})
}
