package scheduler_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/scheduler"
	"github.com/mekcloud/mek/internal/placement"
)

func TestOrder(t *testing.T) {
	hosts := []scheduler.Host{{ID: "1", Name: "a", Zone: "z1", Usable: true}, {ID: "2", Name: "b", Zone: "z1", Usable: true}, {ID: "3", Name: "c", Zone: "z2", Usable: true}, {ID: "4", Name: "d", Zone: "z1", Usable: false}}
	found := placement.Candidates{Providers: map[string]placement.Summary{}}
	for i, h := range hosts {
		found.List = append(found.List, placement.Candidate{Root: h.ID, Allocations: placement.Allocations{h.ID: {"VCPU": 1}}})
		found.Providers[h.ID] = placement.Summary{Resources: map[string]placement.Level{"MEMORY_MB": {Capacity: 100 + int64(i), Used: 0}}}
	}
	found.List = append(found.List, placement.Candidate{Root: "unknown"}, found.List[0])
	for name, c := range map[string]struct {
		want scheduler.Want
		got  string
	}{
		"emptiest first": {scheduler.Want{}, "[c b a]"},
		"zone":           {scheduler.Want{Zone: "z1"}, "[b a]"},
		"host":           {scheduler.Want{Host: "a"}, "[a]"},
		"wrong zone":     {scheduler.Want{Host: "a", Zone: "z2"}, "[]"},
		"same":           {scheduler.Want{Same: []string{"a", "d"}}, "[a]"},
		"same as none":   {scheduler.Want{Same: []string{}}, "[]"},
		"different":      {scheduler.Want{Different: []string{"c", "b"}}, "[a]"},
		"soft same":      {scheduler.Want{Last: map[string]int{"a": -1}}, "[a c b]"},
		"soft different": {scheduler.Want{Last: map[string]int{"c": 1}}, "[b a c]"},
	} {
		names := []string{}
		for _, r := range scheduler.Order(c.want, hosts, found) {
			names = append(names, r.Name)
			if r.Allocations[r.ID]["VCPU"] != 1 {
				t.Errorf("%s: allocation of %s lost", name, r.Name)
			}
		}
		if fmt.Sprint(names) != c.got {
			t.Errorf("%s: %v, want %s", name, names, c.got)
		}
	}
}

func TestRequest(t *testing.T) {
	f := compute.Flavor{VCPUs: 2, MemoryMiB: 512, RootGiB: 9, EphemGiB: 3, SwapMiB: 1025, ExtraSpecs: map[string]string{
		"trait:B": "required", "trait:A": "required", "trait:C": "forbidden", "resources:VGPU": "1", "resources:MEMORY_MB": "0", "resources:X": "-1", "hw:cpu": "x"}}
	got := scheduler.Request(f, 9, 5)
	want := placement.Request{Limit: 5, Groups: []placement.Group{{Resources: placement.Resources{"VCPU": 2, "DISK_GB": 14, "VGPU": 1},
		Required: [][]string{{"A"}, {"B"}}, Forbidden: []string{"C"}}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if r := scheduler.Request(compute.Flavor{VCPUs: 1, MemoryMiB: 1}, 0, 0); len(r.Groups[0].Resources) != 2 {
		t.Errorf("%v", r)
	}
}

// TestSilentHostsComeLast: one that fell silent a moment ago may be restarting
// or dead; it is taken only where nobody else can.
func TestSilentHostsComeLast(t *testing.T) {
	hosts := []scheduler.Host{{ID: "1", Name: "a", Usable: true, Silent: true}, {ID: "2", Name: "b", Usable: true}}
	found := placement.Candidates{Providers: map[string]placement.Summary{"1": {Resources: map[string]placement.Level{"MEMORY_MB": {Capacity: 9}}}},
		List: []placement.Candidate{{Root: "1"}, {Root: "2"}}}
	for want, list := range map[string][]scheduler.Host{"[b a]": hosts, "[a]": hosts[:1]} {
		names := []string{}
		for _, r := range scheduler.Order(scheduler.Want{Last: map[string]int{"b": 1}}, list, found) {
			names = append(names, r.Name)
		}
		if fmt.Sprint(names) != want {
			t.Errorf("%v, want %s", names, want)
		}
	}
}
