package networkapi

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
)

// TestAddressesKeepTheirOrder: an update of a port's addresses is shown as it was
// asked for, whatever went, came or moved before.
func TestAddressesKeepTheirOrder(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newSite(t, d, "")
		type m = map[string]any
		n := s.made("network", "networks", m{"name": "n"})
		sub := s.made("subnet", "subnets", m{"network_id": n, "cidr": "10.0.0.0/24", "ip_version": 4,
			"allocation_pools": []any{m{"start": "10.0.0.100", "end": "10.0.0.200"}}}) // others take no address of those below
		fixed := func(last string) (out []m) {
			for l := range strings.FieldsSeq(last) {
				out = append(out, m{"subnet_id": sub, "ip_address": "10.0.0." + l})
			}
			return out
		}
		port := s.made("port", "ports", m{"network_id": n, "fixed_ips": fixed("9 10 11 12")})
		taken := s.made("port", "ports", m{"network_id": n, "fixed_ips": fixed("99")})
		for _, want := range []string{"9 11 12", "9 11 12 13", "9 12 20 21", "20 21", "21 20 9", "9", "30 31", "31 32 33", "33 31", "40 33"} {
			if status, out := s.do("PUT", "/ports/"+port, m{"port": m{"fixed_ips": fixed(want)}}); status != 200 {
				t.Fatalf("%s: %d %v", want, status, out)
			}
			if status, out := s.do("PUT", "/ports/"+port, m{"port": m{"fixed_ips": fixed("99 " + want)}}); status != 409 {
				t.Fatalf("an address of port %s was taken: %d %v", taken, status, out)
			}
			_, out := s.do("GET", "/ports/"+port, nil)
			var got []string
			for _, ip := range out["port"].(m)["fixed_ips"].([]any) {
				got = append(got, strings.TrimPrefix(fmt.Sprint(ip.(m)["ip_address"]), "10.0.0."))
			}
			if strings.Join(got, " ") != want {
				t.Fatalf("got %s, asked for %s", got, want)
			}
		}
	})
}
