package search

import (
	cmp2 "cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mekcloud/mek/internal/placement"
)

// at makes a provider: "cn1" or "cn1/numa0", whose root is the first word.
func at(path string, inventories map[string]int64, traits, aggregates string) *Entry {
	words := strings.Split(path, "/")
	e := &Entry{Provider: placement.Provider{UUID: words[len(words)-1], Name: path, Root: words[0]}, Inventories: map[string]placement.Inventory{}, Used: placement.Resources{},
		Traits: sortedWords(traits), Aggregates: sortedWords(aggregates)}
	if len(words) > 1 {
		e.Parent = words[len(words)-2]
	}
	for class, total := range inventories {
		e.Inventories[class] = placement.Units(total)
	}
	return e
}

func sortedWords(s string) []string { return slices.Sorted(slices.Values(strings.Fields(s))) }

func index(entries ...*Entry) *Index {
	x := New()
	for _, e := range entries {
		x.Put(e)
	}
	return x
}

// told spells candidates so that they compare: provider:class=amount, sorted.
func told(c placement.Candidates) []string {
	out := []string{}
	for _, one := range c.List {
		var words []string
		for provider, resources := range one.Allocations {
			for class, n := range resources {
				words = append(words, fmt.Sprintf("%s:%s=%d", provider, class, n))
			}
		}
		slices.Sort(words)
		out = append(out, strings.Join(words, " "))
	}
	slices.Sort(out)
	return out
}

func ask(groups ...placement.Group) *placement.Request { return &placement.Request{Groups: groups} }

// cloud is two hosts with nested devices, and a disk that both share.
func cloud() *Index {
	return index(
		at("cn1", map[string]int64{"VCPU": 8, "MEMORY_MB": 1024}, "FAST", "a"),
		at("cn1/nic1", map[string]int64{"VF": 2}, "NET1", ""),
		at("cn1/nic2", map[string]int64{"VF": 2}, "NET2", ""),
		at("cn2", map[string]int64{"VCPU": 8, "MEMORY_MB": 1024, "DISK_GB": 100}, "", "a b"),
		at("nfs", map[string]int64{"DISK_GB": 1000}, placement.SharesViaAggregate, "a"),
	)
}

func TestCandidates(t *testing.T) {
	small := placement.Resources{"VCPU": 1, "MEMORY_MB": 64}
	for name, tc := range map[string]struct {
		request *placement.Request
		want    []string
	}{
		"one tree": {ask(placement.Group{Resources: small}), []string{"cn1:MEMORY_MB=64 cn1:VCPU=1", "cn2:MEMORY_MB=64 cn2:VCPU=1"}},
		"shared disk": {ask(placement.Group{Resources: placement.Resources{"VCPU": 1, "DISK_GB": 10}}),
			[]string{"cn1:VCPU=1 nfs:DISK_GB=10", "cn2:DISK_GB=10 cn2:VCPU=1", "cn2:VCPU=1 nfs:DISK_GB=10"}},
		"nested devices": {ask(placement.Group{Resources: placement.Resources{"VCPU": 1, "VF": 1}}), []string{"cn1:VCPU=1 nic1:VF=1", "cn1:VCPU=1 nic2:VF=1"}},
		"traits together": {ask(placement.Group{Resources: placement.Resources{"VCPU": 1, "VF": 1}, Required: [][]string{{"FAST"}, {"NET2", "NET9"}}}),
			[]string{"cn1:VCPU=1 nic2:VF=1"}},
		"forbidden":        {ask(placement.Group{Resources: small, Forbidden: []string{"FAST"}}), []string{"cn2:MEMORY_MB=64 cn2:VCPU=1"}},
		"aggregate":        {ask(placement.Group{Resources: small, MemberOf: [][]string{{"b", "c"}}}), []string{"cn2:MEMORY_MB=64 cn2:VCPU=1"}},
		"aggregate spans":  {ask(placement.Group{Resources: placement.Resources{"VF": 1}, MemberOf: [][]string{{"a"}}}), []string{"nic1:VF=1", "nic2:VF=1"}},
		"not in aggregate": {ask(placement.Group{Resources: small, NotIn: []string{"b"}}), []string{"cn1:MEMORY_MB=64 cn1:VCPU=1"}},
		"in tree":          {ask(placement.Group{Resources: small, InTree: "nic1"}), []string{"cn1:MEMORY_MB=64 cn1:VCPU=1"}},
		"in no tree":       {ask(placement.Group{Resources: small, InTree: "gone"}), []string{}},
		"too much":         {ask(placement.Group{Resources: placement.Resources{"VCPU": 9}}), []string{}},
		"unknown class":    {ask(placement.Group{Resources: placement.Resources{"CUSTOM_X": 1}}), []string{}},
		"two of one kind": {&placement.Request{Groups: []placement.Group{{Suffix: "1", Resources: placement.Resources{"VF": 2}}, {Suffix: "2", Resources: placement.Resources{"VF": 1}}}},
			[]string{"nic1:VF=1 nic2:VF=2", "nic1:VF=2 nic2:VF=1"}}, // both from one exceeds it
		"isolated": {&placement.Request{Isolate: true, Groups: []placement.Group{{Suffix: "1", Resources: placement.Resources{"VF": 1}}, {Suffix: "2", Resources: placement.Resources{"VF": 1}}}},
			[]string{"nic1:VF=1 nic2:VF=1", "nic1:VF=1 nic2:VF=1"}},
		"root": {&placement.Request{RootRequired: []string{"FAST"}, Groups: []placement.Group{{Resources: small}}}, []string{"cn1:MEMORY_MB=64 cn1:VCPU=1"}},
		"not that root": {&placement.Request{RootForbidden: []string{"FAST"}, Groups: []placement.Group{{Resources: small}}},
			[]string{"cn2:MEMORY_MB=64 cn2:VCPU=1"}},
		"subtree": {&placement.Request{SameSubtree: [][]string{{"1", "2"}}, Groups: []placement.Group{{Suffix: "1", Resources: placement.Resources{"VCPU": 1}}, {Suffix: "2", Resources: placement.Resources{"VF": 1}}}},
			[]string{"cn1:VCPU=1 nic1:VF=1", "cn1:VCPU=1 nic2:VF=1"}},
		"no subtree": {&placement.Request{SameSubtree: [][]string{{"1", "2"}}, Isolate: true, Groups: []placement.Group{{Suffix: "1", Resources: placement.Resources{"VF": 1}}, {Suffix: "2", Resources: placement.Resources{"VF": 1}}}},
			[]string{}}, // two devices, neither above the other
		"flat": {&placement.Request{Flat: true, Groups: []placement.Group{{Resources: placement.Resources{"VCPU": 1, "VF": 1}}}}, []string{}},
		"flat but shared": {&placement.Request{Flat: true, Groups: []placement.Group{{Resources: placement.Resources{"VCPU": 1, "DISK_GB": 10}, InTree: ""}}},
			[]string{"cn1:VCPU=1 nfs:DISK_GB=10", "cn2:DISK_GB=10 cn2:VCPU=1", "cn2:VCPU=1 nfs:DISK_GB=10"}},
		"limit": {&placement.Request{Limit: 1, Groups: []placement.Group{{Resources: small}}}, []string{"cn1:MEMORY_MB=64 cn1:VCPU=1"}},
	} {
		if diff := cmp.Diff(tc.want, told(cloud().Candidates(tc.request))); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}

func TestUnitRules(t *testing.T) {
	e := at("cn", nil, "", "")
	e.Inventories["VCPU"] = placement.Inventory{Total: 10, Reserved: 2, MinUnit: 2, MaxUnit: 6, StepSize: 2, AllocationRatio: 1.5}
	e.Used["VCPU"] = 6
	x := index(e)
	for amount, want := range map[int64]int{1: 0, 2: 1, 3: 0, 4: 1, 6: 1, 7: 0, 8: 0} { // capacity 12, used 6
		if got := len(x.Candidates(ask(placement.Group{Resources: placement.Resources{"VCPU": amount}})).List); got != want {
			t.Errorf("%d: %d candidates, want %d", amount, got, want)
		}
	}
}

func TestSummariesAndMappings(t *testing.T) {
	c := cloud().Candidates(&placement.Request{Groups: []placement.Group{{Suffix: "_nic", Resources: placement.Resources{"VF": 1}, Required: [][]string{{"NET1"}}}}})
	if len(c.List) != 1 || !maps.EqualFunc(c.List[0].Mappings, map[string][]string{"_nic": {"nic1"}}, slices.Equal[[]string]) || c.List[0].Root != "cn1" {
		t.Fatalf("candidates: %+v", c.List)
	}
	if got := slices.Sorted(maps.Keys(c.Providers)); !slices.Equal(got, []string{"cn1", "nic1", "nic2"}) {
		t.Errorf("summaries of %v, want the whole tree", got)
	}
	if s := c.Providers["nic1"]; s.Parent != "cn1" || s.Root != "cn1" || s.Resources["VF"] != (placement.Level{Capacity: 2}) || !slices.Equal(s.Traits, []string{"NET1"}) {
		t.Errorf("summary: %+v", s)
	}
}

func TestIndexFollowsChanges(t *testing.T) {
	x := cloud()
	x.Remove("nfs")
	if got := told(x.Candidates(ask(placement.Group{Resources: placement.Resources{"VCPU": 1, "DISK_GB": 10}}))); !slices.Equal(got, []string{"cn2:DISK_GB=10 cn2:VCPU=1"}) {
		t.Errorf("after the shared disk went: %v", got)
	}
	moved := at("cn2/nic2", map[string]int64{"VF": 2}, "NET2", "")
	x.Put(moved)
	if got := told(x.Candidates(ask(placement.Group{Resources: placement.Resources{"VCPU": 1, "VF": 1}}))); !slices.Equal(got, []string{"cn1:VCPU=1 nic1:VF=1", "cn2:VCPU=1 nic2:VF=1"}) {
		t.Errorf("after a device moved: %v", got)
	}
	x.Remove("cn1")
	x.Remove("nic1")
	x.Remove("nic1")
	if x.Len() != 2 || x.Children("cn2") != 1 || len(x.List(Filter{})) != 2 {
		t.Errorf("%d providers left, %d below cn2", x.Len(), x.Children("cn2"))
	}
}

func TestList(t *testing.T) {
	for name, tc := range map[string]struct {
		filter Filter
		want   string
	}{
		"all":       {Filter{}, "cn1 nic1 nic2 cn2 nfs"},
		"uuid":      {Filter{UUID: "nic1"}, "nic1"},
		"name":      {Filter{Name: "cn1/nic2"}, "nic2"},
		"both":      {Filter{UUID: "nic1", Name: "cn1"}, ""},
		"tree":      {Filter{Group: placement.Group{InTree: "nic2"}}, "cn1 nic1 nic2"},
		"resources": {Filter{Group: placement.Group{Resources: placement.Resources{"DISK_GB": 500}}}, "nfs"},
		"traits":    {Filter{Group: placement.Group{Required: [][]string{{"NET1", "NET2"}}, Forbidden: []string{"NET2"}}}, "nic1"},
		"member":    {Filter{Group: placement.Group{MemberOf: [][]string{{"a"}, {"b"}}}}, "cn2"},
	} {
		var got []string
		for _, e := range cloud().List(tc.filter) {
			got = append(got, e.UUID)
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("%s: %v, want %s", name, got, tc.want)
		}
	}
}

// Whatever is answered fits: amounts per provider and class within capacity,
// every group whole, limits kept; and a flat cloud finds exactly the hosts that fit.
func TestCandidatesProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, hosts := New(), map[string]*Entry{}
		for i := range rapid.IntRange(1, 6).Draw(t, "hosts") {
			root := fmt.Sprintf("h%d", i)
			e := at(root, map[string]int64{"A": rapid.Int64Range(1, 6).Draw(t, "a"), "B": rapid.Int64Range(1, 6).Draw(t, "b")}, rapid.SampledFrom([]string{"", "T", "U", "T U"}).Draw(t, "t"), "")
			e.Used["A"] = rapid.Int64Range(0, 6).Draw(t, "used")
			hosts[root] = e
			x.Put(e)
			for j := range rapid.IntRange(0, 2).Draw(t, "devices") {
				d := at(fmt.Sprintf("%s/%s-d%d", root, root, j), map[string]int64{"A": rapid.Int64Range(1, 6).Draw(t, "da"), "C": 2}, "", "")
				hosts[d.UUID] = d
				x.Put(d)
			}
		}
		r := &placement.Request{Limit: rapid.IntRange(0, 5).Draw(t, "limit"), Groups: []placement.Group{{Resources: placement.Resources{"A": rapid.Int64Range(1, 4).Draw(t, "wa"), "B": 1}}}}
		if rapid.Bool().Draw(t, "granular") {
			r.Groups = append(r.Groups, placement.Group{Suffix: "x", Resources: placement.Resources{"A": rapid.Int64Range(1, 4).Draw(t, "wx")}})
		}
		want := placement.Resources{}
		for _, g := range r.Groups {
			for class, n := range g.Resources {
				want[class] += n
			}
		}
		got := x.Candidates(r)
		if r.Limit > 0 && len(got.List) > r.Limit {
			t.Fatalf("%d candidates for a limit of %d", len(got.List), r.Limit)
		}
		for _, c := range got.List {
			sum := placement.Resources{}
			for uuid, resources := range c.Allocations {
				if hosts[uuid].Root != c.Root {
					t.Fatalf("%s is not of the tree %s", uuid, c.Root)
				}
				for class, n := range resources {
					sum[class] += n
					if float64(hosts[uuid].Used[class]+n) > hosts[uuid].Inventories[class].Capacity() {
						t.Fatalf("%s:%s=%d exceeds what is left", uuid, class, n)
					}
				}
			}
			if !maps.Equal(sum, want) {
				t.Fatalf("candidate gives %v, asked was %v", sum, want)
			}
		}
	})
}

// thousands is a cloud of plain hosts, most of them full.
func thousands(n int) *Index {
	x := New()
	for i := range n {
		e := at(fmt.Sprintf("host-%05d", i), map[string]int64{"VCPU": 64, "MEMORY_MB": 262144, "DISK_GB": 4000}, "COMPUTE_NODE HW_CPU_X86_AVX2 COMPUTE_STATUS_ENABLED", "zone")
		if i%10 != 9 {
			e.Used["VCPU"] = 64
		}
		x.Put(e)
	}
	return x
}

func bootRequest() *placement.Request {
	return &placement.Request{Limit: 20, Groups: []placement.Group{{Resources: placement.Resources{"VCPU": 2, "MEMORY_MB": 4096, "DISK_GB": 20},
		Required: [][]string{{"COMPUTE_NODE"}}, Forbidden: []string{"COMPUTE_STATUS_DISABLED"}, MemberOf: [][]string{{"zone"}}}}}
}

// The budget of a decision among 10,000 hosts is 1 ms.
func TestDecisionBudget(t *testing.T) {
	x, r := thousands(10_000), bootRequest()
	r.Groups[0].Resources["VCPU"] = 65 // no host has it: all are looked at
	best := time.Hour
	for range 20 {
		began := time.Now()
		if n := len(x.Candidates(r).List); n != 0 {
			t.Fatalf("%d candidates", n)
		}
		best = min(best, time.Since(began))
	}
	t.Logf("looking at 10,000 hosts takes %v", best)
	if best > slowdown*time.Millisecond {
		t.Errorf("looking at 10,000 hosts takes %v", best)
	}
}

func BenchmarkCandidates(b *testing.B) {
	x, r := thousands(10_000), bootRequest()
	b.ReportAllocs()
	for b.Loop() {
		if n := len(x.Candidates(r).List); n != 20 {
			b.Fatalf("%d candidates", n)
		}
	}
}

// TestEmptiest: a walk from the emptiest host on gives what sorting all gives,
// however hosts come, change and go.
func TestEmptiest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, model := New(), map[string]int64{}
		for range rapid.IntRange(1, 60).Draw(t, "changes") {
			name := fmt.Sprint("cn", rapid.IntRange(0, 9).Draw(t, "host"))
			if rapid.IntRange(0, 4).Draw(t, "gone") == 0 {
				x.Remove(name)
				delete(model, name)
				continue
			}
			e := at(name, map[string]int64{"MEMORY_MB": 64, "VCPU": 1}, "", "")
			e.Used["MEMORY_MB"] = rapid.Int64Range(0, 8).Draw(t, "used")
			x.Put(e)
			model[name] = e.Used["MEMORY_MB"]
		}
		odd := func(name string) bool { return name[2]%2 == 1 }
		var want, got []string
		for _, name := range slices.SortedFunc(maps.Keys(model), func(a, b string) int {
			return cmp2.Or(cmp2.Compare(model[a], model[b]), strings.Compare(a, b))
		}) {
			if odd(name) && len(want) < 3 {
				want = append(want, name)
			}
		}
		r := ask(placement.Group{Resources: placement.Resources{"VCPU": 1}})
		r.Emptiest, r.Only, r.Limit = true, odd, 3
		for _, c := range x.Candidates(r).List {
			got = append(got, c.Root)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}
