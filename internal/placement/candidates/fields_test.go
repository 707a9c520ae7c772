package candidates

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/microversion"
	"github.com/mekcloud/mek/internal/placement"
)

type object = map[string]any

// read is the answer as clients read it.
func read(t *testing.T, v microversion.Version, r *placement.Request, found placement.Candidates) object {
	t.Helper()
	var out object
	if err := json.Unmarshal(answer(v, r, found), &out); err != nil {
		t.Fatalf("%d: %v", v, err)
	}
	return out
}

func TestAnswerOfEachVersion(t *testing.T) {
	request := &placement.Request{Groups: []placement.Group{{Resources: placement.Resources{"VCPU": 1}}, {Suffix: "_\"é<", Resources: placement.Resources{"VF": 2}}}}
	levels := map[string]placement.Level{"VCPU": {Capacity: 8, Used: 3}, "DISK_GB": {Capacity: 9}}
	found := placement.Candidates{
		List: []placement.Candidate{
			{Allocations: placement.Allocations{"cn": {"VCPU": 1, "DISK_GB": 5}, "nic": {"VF": 2}}, Mappings: map[string][]string{"": {"cn", "nfs"}, "_\"é<": {"nic"}}},
			{Allocations: placement.Allocations{"cn2": {"VCPU": 1}}, Mappings: map[string][]string{"": {"cn2"}}}},
		Providers: map[string]placement.Summary{"cn": {UUID: "cn", Root: "cn", Resources: levels}, "nic": {UUID: "nic", Parent: "cn", Root: "cn", Traits: []string{"A", "B"}}}}

	listed := []any{
		object{"allocations": []any{object{"resource_provider": object{"uuid": "cn"}, "resources": object{"VCPU": 1.0, "DISK_GB": 5.0}},
			object{"resource_provider": object{"uuid": "nic"}, "resources": object{"VF": 2.0}}}},
		object{"allocations": []any{object{"resource_provider": object{"uuid": "cn2"}, "resources": object{"VCPU": 1.0}}}}}
	first := object{"cn": object{"resources": object{"VCPU": 1.0, "DISK_GB": 5.0}}, "nic": object{"resources": object{"VF": 2.0}}}
	second := object{"cn2": object{"resources": object{"VCPU": 1.0}}}
	named := []any{object{"allocations": first}, object{"allocations": second}}
	mapped := []any{object{"allocations": first, "mappings": object{"": []any{"cn", "nfs"}, "_\"é<": []any{"nic"}}}, object{"allocations": second, "mappings": object{"": []any{"cn2"}}}}

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
		if d := cmp.Diff(want, read(t, c.version, request, found)); d != "" {
			t.Errorf("%d: (-want +got)\n%s", c.version, d)
		}
	}
}

// many is what a thousand hosts answer.
func many() (*placement.Request, placement.Candidates) {
	found := placement.Candidates{Providers: map[string]placement.Summary{}}
	levels := map[string]placement.Level{"VCPU": {Capacity: 256}, "MEMORY_MB": {Capacity: 262144}, "DISK_GB": {Capacity: 2000}}
	for range 1000 {
		uuid := id.New()
		found.List = append(found.List, placement.Candidate{Allocations: placement.Allocations{uuid: {"VCPU": 1, "MEMORY_MB": 64}}, Mappings: map[string][]string{"": {uuid}}})
		found.Providers[uuid] = placement.Summary{UUID: uuid, Root: uuid, Resources: levels}
	}
	return &placement.Request{Groups: []placement.Group{{Resources: placement.Resources{"VCPU": 1, "MEMORY_MB": 64}}}}, found
}

// TestAnswersAreNotMadeOfMaps: an answer takes less than one allocation a host.
func TestAnswersAreNotMadeOfMaps(t *testing.T) {
	request, found := many()
	if n := testing.AllocsPerRun(5, func() { answer(1036, request, found) }); n > 50 {
		t.Errorf("%v allocations for a thousand hosts", n)
	}
}

func BenchmarkAnswer(b *testing.B) {
	request, found := many()
	b.ReportAllocs()
	size := 0
	for b.Loop() {
		size = len(answer(1036, request, found))
	}
	b.ReportMetric(float64(size), "bytes")
}
