package wire

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/microversion"
	"github.com/mekcloud/mek/internal/placement"
)

const agg = "9323b2b1-82c9-4e91-bdff-e95e808ef954"

func TestParseRequest(t *testing.T) {
	q, err := url.ParseQuery("resources=VCPU:2,MEMORY_MB:1024&required=HW_CPU_X86_VMX,!CUSTOM_SLOW&member_of=in:" + agg + "," + agg + "&member_of=!" + agg +
		"&resources_NIC=SRIOV_NET_VF:2&required_NIC=in:A,B&required_NIC=C&required_ROOT=D&same_subtree=_NIC,_ROOT&group_policy=isolate&limit=7&root_required=E,!F")
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseRequest(q, Max)
	if err != nil {
		t.Fatal(err)
	}
	want := placement.Request{Limit: 7, Isolate: true, RootRequired: []string{"E"}, RootForbidden: []string{"F"}, SameSubtree: [][]string{{"_NIC", "_ROOT"}}, Groups: []placement.Group{
		{Resources: placement.Resources{"VCPU": 2, "MEMORY_MB": 1024}, Required: [][]string{{"HW_CPU_X86_VMX"}}, Forbidden: []string{"CUSTOM_SLOW"}, MemberOf: [][]string{{agg, agg}}, NotIn: []string{agg}},
		{Suffix: "_NIC", Resources: placement.Resources{"SRIOV_NET_VF": 2}, Required: [][]string{{"A", "B"}, {"C"}}},
		{Suffix: "_ROOT", Required: [][]string{{"D"}}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestParseRequestRefuses(t *testing.T) {
	for _, tc := range []struct {
		version microversion.Version
		query   string
		text    string
	}{
		{Max, "", "at least one resources"},
		{SameSubtree - 1, "", "At least one request group"},
		{Candidates, "limit=1&resources=A:1", "'limit' was unexpected"},
		{Candidates, "", "'resources' is a required property"},
		{Max, "resources=", "empty string"},
		{Max, "resources=VCPU", "Got: VCPU."},
		{Max, "resources=VCPU:x", "expected positive integer"},
		{Max, "resources=VCPU:0", "requires amount >= 1"},
		{Max, "resources=VCPU:99999999999999999999", "expected positive integer"},
		{Max, "resources=A:1&limit=0", "does not match"},
		{Max, "resources=A:1&limit=99999999999999999999", "does not match"},
		{Max, "resources=A:1&group_policy=x", "is not one of"},
		{Max, "resources1=A:1&resources2=A:1", "group_policy"},
		{Granular, "resources01=A:1", "does not match any of the regexes"},
		{Max, "resources=A:1&cows=1", "does not match any of the regexes"},
		{Max, "resources=A:1&required=X,,Y", "Got an empty trait"},
		{Max, "resources=A:1&required=in:", "Got an empty trait"},
		{Max, "resources=A:1&required=in:A,!B", "does not support forbidden traits"},
		{AnyTraits - 1, "resources=A:1&required=in:A,B", "only supported since microversion 1.39"},
		{CandidatesRequired, "resources=A:1&required=!A", "HW_CPU_X86_VMX,CUSTOM_MAGIC. Got: !A"},
		{Max, "resources=A:1&required=X,!X", "Conflicting required and forbidden traits"},
		{Max, "resources=A:1&root_required=X,!X", "root_required: X"},
		{Max, "resources=A:1&root_required=X&root_required=Y", "only once"},
		{Max, "resources=A:1&member_of=x", "valid UUID"},
		{Max, "resources=A:1&member_of=" + agg + "," + agg, "must be prefixed"},
		{RepeatMemberOf - 1, "resources=A:1&member_of=" + agg + "&member_of=" + agg, "Multiple member_of parameters"},
		{ForbiddenMemberOf - 1, "resources=A:1&member_of=!" + agg, "Forbidden member_of"},
		{Max, "resources=A:1&in_tree=x", "format of uuid"},
		{Max, "resources=A:1&required1=X", "bad group(s) - ['1']"},
		{Max, "resources1=A:1&same_subtree=1,2", "['2'] not found in ['1']"},
		{Max, "resources1=A:1&same_subtree=,1", "Empty string"},
		{SameSubtree - 1, "resources=A:1&required1=X", "orphaned traits keys: required1"},
		{SameSubtree - 1, "resources=A:1&member_of1=" + agg, "orphaned member_of keys: member_of1"},
		{SameSubtree - 1, "resources=A:1&in_tree1=" + agg, "must specify resources"},
	} {
		q, err := url.ParseQuery(tc.query)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseRequest(q, tc.version); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s at %s: %v, want %q", tc.query, tc.version, err, tc.text)
		}
	}
}

func TestVersionsSince(t *testing.T) { // one step before, the parameter is unknown
	for query, since := range map[string]microversion.Version{"member_of=" + agg: FilterMemberOf, "resources=A:1": FilterResources, "in_tree=" + agg: Nested, "required=A": FilterRequired} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		_, _, _, before := ParseFilter(q, since-1)
		_, _, _, after := ParseFilter(q, since)
		if !fault.Is(before, fault.Invalid) || after != nil {
			t.Errorf("%s: before %v, after %v", query, before, after)
		}
	}
}

func TestUUID(t *testing.T) {
	for in, want := range map[string]string{agg: agg, strings.ToUpper(agg): agg, strings.ReplaceAll(agg, "-", ""): agg, "{" + agg + "}": agg, "urn:uuid:" + agg: agg,
		"": "", "x": "", agg + "0": "", strings.Replace(agg, "9", "g", 1): ""} {
		if got, ok := UUID(in); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", in, got, ok)
		}
	}
}

func TestAccepts(t *testing.T) {
	for accept, want := range map[string]bool{"": true, "*/*": true, "application/json": true, "text/html,application/*;q=0.5": true,
		"text/plain": false, "text/html,application/xml;q=0.9": false, "application/json;q=0": false, ";;": false} {
		h := http.Header{}
		if accept != "" {
			h.Set("Accept", accept)
		}
		if got := Accepts(h) == nil; got != want {
			t.Errorf("%q: %v", accept, got)
		}
	}
}

func TestAsked(t *testing.T) {
	for header, want := range map[string]microversion.Version{"": Min, "placement 1.12": 1012, "placement latest": Max, "compute 2.1": Min, "compute 2.1, Placement 1.39": Max,
		"placement 1.40": 0, "placement 0.9": 0, "placement x.y": 0, "placement 1.2.3": 0} {
		got, err := Asked(http.Header{"Openstack-Api-Version": {header}})
		if got != want || (err != nil) != (want == 0) {
			t.Errorf("%q: %s, %v", header, got, err)
		}
	}
}

// No query string makes the parser panic or give a group without meaning.
func FuzzParseRequest(f *testing.F) {
	f.Add("resources=VCPU:1&required=A,!B&member_of=in:"+agg+"&limit=5", 39)
	f.Add("resources1=VCPU:1&resources2=VCPU:1&group_policy=isolate&same_subtree=1,2&root_required=A", 36)
	f.Add("resources=&required=in:&in_tree=&member_of=!in:", 25)
	f.Fuzz(func(t *testing.T, query string, minor int) {
		q, err := url.ParseQuery(query)
		if err != nil || minor < 0 || minor > 39 {
			return
		}
		r, err := ParseRequest(q, microversion.V(1, minor))
		if err == nil && len(r.Groups) == 0 {
			t.Errorf("%q at 1.%d has no groups", query, minor)
		}
		for _, g := range r.Groups {
			for class, n := range g.Resources {
				if err == nil && n < 1 {
					t.Errorf("%q asks for %d of %s", query, n, class)
				}
			}
		}
		_, _, _, _ = ParseFilter(q, microversion.V(1, minor)) // must not panic
	})
}
