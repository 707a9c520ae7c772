package candidates

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/microversion"
	"github.com/mekcloud/mek/internal/placement"
	"github.com/mekcloud/mek/internal/placement/search"
)

type object = map[string]any

// read is an answer as clients read it.
func read(t *testing.T, v microversion.Version, r *placement.Request, ways []search.Way, providers []placement.Summary) object {
	t.Helper()
	w := &writer{version: v, shown: classes(v, r)}
	w.add(`{"allocation_requests":[`)
	for i := range ways {
		w.way(&ways[i])
	}
	w.between()
	for _, p := range providers {
		w.provider(p)
	}
	w.add(`}}`)
	var out object
	if err := json.Unmarshal(w.b, &out); err != nil {
		t.Fatalf("%d: %v", v, err)
	}
	return out
}

func TestAnswerOfEachVersion(t *testing.T) {
	request := &placement.Request{Groups: []placement.Group{{Resources: placement.Resources{"VCPU": 1}}, {Suffix: "_\"é<", Resources: placement.Resources{"VF": 2}}}}
	levels := map[string]placement.Level{"VCPU": {Capacity: 8, Used: 3}, "DISK_GB": {Capacity: 9}}
	ways := []search.Way{
		{Takes: []search.Take{{Provider: "cn", Class: "DISK_GB", Amount: 5}, {Provider: "cn", Class: "VCPU", Amount: 1}, {Provider: "nic", Class: "VF", Amount: 2}},
			Serves: []search.Serve{{Suffix: "", Providers: []string{"cn", "nfs"}}, {Suffix: "_\"é<", Providers: []string{"nic"}}}},
		{Takes: []search.Take{{Provider: "cn2", Class: "VCPU", Amount: 1}}, Serves: []search.Serve{{Suffix: "", Providers: []string{"cn2"}}}},
		{Takes: []search.Take{{Provider: "cn3", Class: "VCPU", Amount: 1}}, Serves: []search.Serve{{Suffix: "", Providers: []string{"cn3"}}}},
		{Takes: []search.Take{{Provider: "cn3", Class: "VCPU", Amount: 2}}}}
	providers := []placement.Summary{{UUID: "cn", Root: "cn", Resources: levels}, {UUID: "nic", Parent: "cn", Root: "cn", Traits: []string{"A", "B"}}}

	listed := []any{
		object{"allocations": []any{object{"resource_provider": object{"uuid": "cn"}, "resources": object{"VCPU": 1.0, "DISK_GB": 5.0}},
			object{"resource_provider": object{"uuid": "nic"}, "resources": object{"VF": 2.0}}}},
		object{"allocations": []any{object{"resource_provider": object{"uuid": "cn2"}, "resources": object{"VCPU": 1.0}}}},
		object{"allocations": []any{object{"resource_provider": object{"uuid": "cn3"}, "resources": object{"VCPU": 1.0}}}},
		object{"allocations": []any{object{"resource_provider": object{"uuid": "cn3"}, "resources": object{"VCPU": 2.0}}}}}
	first := object{"cn": object{"resources": object{"VCPU": 1.0, "DISK_GB": 5.0}}, "nic": object{"resources": object{"VF": 2.0}}}
	plain := func(uuid string, n float64) object { return object{uuid: object{"resources": object{"VCPU": n}}} }
	second, third, fourth := plain("cn2", 1), plain("cn3", 1), plain("cn3", 2)
	named := []any{object{"allocations": first}, object{"allocations": second}, object{"allocations": third}, object{"allocations": fourth}}
	mapped := []any{object{"allocations": first, "mappings": object{"": []any{"cn", "nfs"}, "_\"é<": []any{"nic"}}}, object{"allocations": second, "mappings": object{"": []any{"cn2"}}},
		object{"allocations": third, "mappings": object{"": []any{"cn3"}}}, object{"allocations": fourth, "mappings": object{}}}

	cpu, disk := object{"capacity": 8.0, "used": 3.0}, object{"capacity": 9.0, "used": 0.0}
	asked, all, none, traits := object{"VCPU": cpu}, object{"VCPU": cpu, "DISK_GB": disk}, object{}, []any{"A", "B"}
	for _, c := range []struct {
		version  microversion.Version
		requests []any
		cn, nic  object
	}{
		{1010, listed, object{"resources": asked}, object{"resources": none}},
		{1012, named, object{"resources": asked}, object{"resources": none}},
		{1017, named, object{"resources": asked, "traits": []any{}}, object{"resources": none, "traits": traits}},
		{1027, named, object{"resources": all, "traits": []any{}}, object{"resources": none, "traits": traits}},
		{1029, named, object{"resources": all, "traits": []any{}, "parent_provider_uuid": nil, "root_provider_uuid": "cn"},
			object{"resources": none, "traits": traits, "parent_provider_uuid": "cn", "root_provider_uuid": "cn"}},
		{1034, mapped, object{"resources": all, "traits": []any{}, "parent_provider_uuid": nil, "root_provider_uuid": "cn"},
			object{"resources": none, "traits": traits, "parent_provider_uuid": "cn", "root_provider_uuid": "cn"}},
	} {
		want := object{"allocation_requests": c.requests, "provider_summaries": object{"cn": c.cn, "nic": c.nic}}
		if d := cmp.Diff(want, read(t, c.version, request, ways, providers)); d != "" {
			t.Errorf("%d: (-want +got)\n%s", c.version, d)
		}
	}
}

// many is a thousand hosts, and what is asked of them.
func many() (*placement.Request, *search.Index) {
	x := search.New()
	for range 1000 {
		uuid := id.New()
		x.Put(&search.Entry{Provider: placement.Provider{UUID: uuid, Name: uuid, Root: uuid}, Inventories: map[string]placement.Inventory{
			"VCPU": placement.Units(256), "MEMORY_MB": placement.Units(262144), "DISK_GB": placement.Units(2000)}, Used: placement.Resources{"VCPU": 3}})
	}
	return &placement.Request{Groups: []placement.Group{{Resources: placement.Resources{"VCPU": 1, "MEMORY_MB": 64}}}}, x
}

// TestAnswersAreNotMadeOfMaps: an answer takes less than one allocation a host.
func TestAnswersAreNotMadeOfMaps(t *testing.T) {
	request, x := many()
	room := answer(nil, 1036, request, x)
	if n := testing.AllocsPerRun(5, func() { answer(room[:0], 1036, request, x) }); n > 60 {
		t.Errorf("%v allocations for a thousand hosts", n)
	}
}

// TestAnswerFollowsChanges: what is kept of a provider is not shown once it has changed.
func TestAnswerFollowsChanges(t *testing.T) {
	x, r := search.New(), &placement.Request{Groups: []placement.Group{{Resources: placement.Resources{"VCPU": 1}}}}
	for used := range int64(3) {
		x.Put(&search.Entry{Provider: placement.Provider{UUID: "cn", Root: "cn"}, Inventories: map[string]placement.Inventory{"VCPU": placement.Units(8)}, Used: placement.Resources{"VCPU": used}})
		for range 2 { // what is asked again is kept
			var out object
			if err := json.Unmarshal(answer(nil, 1036, r, x), &out); err != nil {
				t.Fatal(err)
			}
			cn := object{"resources": object{"VCPU": object{"capacity": 8.0, "used": float64(used)}}, "traits": []any{}, "parent_provider_uuid": nil, "root_provider_uuid": "cn"}
			if d := cmp.Diff(object{"cn": cn}, out["provider_summaries"]); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		}
	}
}

func BenchmarkAnswer(b *testing.B) {
	request, x := many()
	b.ReportAllocs()
	room := []byte(nil)
	for b.Loop() {
		room = answer(room[:0], 1036, request, x)
	}
	b.ReportMetric(float64(len(room)), "bytes")
}
