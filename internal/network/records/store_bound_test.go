package records

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/network"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// crowdedNetworks makes networks of which each has many ports, and a port of
// host "h" and a metadata port among them.
func crowdedNetworks(t *testing.T, d *db.DB, networks, others int) (names []string) {
	t.Helper()
	err := d.Write(t.Context(), func(tx *db.Tx) error {
		for n := range networks {
			name := fmt.Sprintf("net-%03d", n)
			names = append(names, name)
			if err := networkRows.Insert(t.Context(), tx, &networkRow{standard: standard{ID: name}, SegmentationID: n, MTU: 1400}); err != nil {
				return err
			}
			ports := []*portRow{{standard: standard{ID: "meta-" + name}, NetworkID: name, MAC: "meta-mac-" + name, DeviceOwner: network.OwnerMetadata},
				{standard: standard{ID: "port-" + name}, NetworkID: name, MAC: "mac", DeviceOwner: "compute:nova", Host: "h"}}
			for i := range others {
				ports = append(ports, &portRow{standard: standard{ID: fmt.Sprint(name, i)}, NetworkID: name, MAC: fmt.Sprint(i), DeviceOwner: "compute:nova", Host: "other"})
			}
			if err := portRows.Insert(t.Context(), tx, ports...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// A host has ports of more networks than one statement names: each is told its
// network's metadata port.
func TestBoundPortsOfManyNetworks(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		names := crowdedNetworks(t, d, 2*networksAtOnce+1, 1)
		bound, err := New(d, clock.Real{}, Watchers{}).BoundPorts(t.Context(), "h")
		if err != nil || len(bound) != len(names) {
			t.Fatalf("%d ports of %d networks, %v", len(bound), len(names), err)
		}
		for i, b := range bound {
			if b.ID != "port-"+names[i] || b.MetadataID != "meta-"+names[i] || b.MetadataMAC != "meta-mac-"+names[i] {
				t.Errorf("%+v", b)
			}
		}
	})
}

// With statistics of what there is, SQLite still finds metadata ports by an index
// that ends at them, and does not read the ports of a network.
func TestMetadataPortsAreSearched(t *testing.T) {
	d := dbtest.SQLite(t)
	names := crowdedNetworks(t, d, 40, 50)
	if err := d.Write(t.Context(), func(tx *db.Tx) error {
		_, err := tx.ExecContext(t.Context(), "ANALYZE")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for some := range slices.Chunk(names[:networksAtOnce+1], networksAtOnce) {
		text, args := metadataPorts(some)
		var id, parent, unused int
		var plan string
		if err := d.QueryRowContext(t.Context(), "EXPLAIN QUERY PLAN "+text, args...).Scan(&id, &parent, &unused, &plan); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(plan, "SEARCH") || !strings.Contains(plan, "network_id=? AND device_owner=?") {
			t.Errorf("metadata ports of %d networks: %s", len(some), plan)
		}
	}
}
