package wire

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/microversion"
	"github.com/mekcloud/mek/internal/placement"
)

// ParseRequest reads the query of GET /allocation_candidates.
func ParseRequest(q url.Values, v microversion.Version) (r placement.Request, err error) {
	r.Flat = v < NestedCandidates
	if err = knownInRequest(q, v); err != nil {
		return r, err
	}
	if text, ok := q["limit"]; ok {
		if r.Limit, ok = positive(text[0]); !ok {
			return r, badQuery("'%s' does not match '^[1-9][0-9]*$'", text[0])
		}
	}
	if policy, ok := Last(q, "group_policy"); ok && policy != "none" && policy != "isolate" {
		return r, badQuery("'%s' is not one of ['none', 'isolate']", policy)
	}
	r.Isolate = q.Get("group_policy") == "isolate"
	if err = rootRequired(q, &r); err != nil {
		return r, err
	}
	if err = sameSubtree(q, &r); err != nil {
		return r, err
	}
	if r.Groups, err = parseGroups(q, v); err != nil {
		return r, err
	}
	if v >= SameSubtree {
		err = checkSubtrees(&r)
	} else {
		err = checkOrphans(r.Groups)
	}
	if err != nil {
		return r, err
	}
	if text := conflicts(r.Groups); v >= ForbiddenTraits && text != "" {
		return r, fault.Invalidf("Conflicting required and forbidden traits found in the following traits keys: %s", text)
	}
	suffixed := 0
	for _, g := range r.Groups {
		if g.Suffix != "" {
			suffixed++
		}
	}
	if suffixed > 1 && !q.Has("group_policy") {
		return r, fault.Invalidf("The \"group_policy\" parameter is required when specifying more than one \"resources{N}\" parameter.")
	}
	return r, nil
}

func knownInRequest(q url.Values, v microversion.Version) error {
	since := map[string]microversion.Version{"resources": Candidates, "limit": CandidatesLimit, "required": CandidatesRequired,
		"member_of": CandidatesMemberOf, "group_policy": Granular, "root_required": RootRequired, "same_subtree": SameSubtree}
	known := func(name string) bool {
		if first, ok := since[name]; ok {
			return v >= first
		}
		_, _, ok := splitKey(name, v)
		return ok && v >= Granular
	}
	for name := range q {
		if v >= Granular && !known(name) {
			return badQuery("'%s' does not match any of the regexes", name)
		}
	}
	if err := Known(q, known); err != nil {
		return err
	}
	if v < Granular && !q.Has("resources") {
		return badQuery("'resources' is a required property")
	}
	return nil
}

func rootRequired(q url.Values, r *placement.Request) error {
	values := q["root_required"]
	if len(values) == 0 {
		return nil
	}
	if len(values) > 1 {
		return fault.Invalidf("Query parameter 'root_required' may be specified only once.").With(placement.CodeDuplicateQuery)
	}
	required, forbidden, err := parseTraits(values[0], traitRules{forbidden: true})
	if err != nil {
		return err
	}
	var both []string
	for _, list := range required {
		r.RootRequired = append(r.RootRequired, list...)
		if slices.Contains(forbidden, list[0]) {
			both = append(both, list[0])
		}
	}
	r.RootForbidden = forbidden
	if len(both) > 0 {
		return fault.Invalidf("Conflicting required and forbidden traits found in root_required: %s", strings.Join(both, ", ")).With(placement.CodeBadQuery)
	}
	return nil
}

func sameSubtree(q url.Values, r *placement.Request) error {
	for _, text := range q["same_subtree"] {
		var suffixes []string
		for word := range strings.SplitSeq(text, ",") {
			if word = strings.TrimSpace(word); word == "" {
				return fault.Invalidf("Empty string (unsuffixed group) can not be specified in `same_subtree` ").With(placement.CodeBadQuery)
			}
			suffixes = append(suffixes, word)
		}
		r.SameSubtree = append(r.SameSubtree, suffixes)
	}
	return nil
}

// checkSubtrees is the rules since 1.36, when a group may be without resources
// if a same_subtree names it.
func checkSubtrees(r *placement.Request) error {
	var bare, all, named []string
	for _, g := range r.Groups {
		all = append(all, g.Suffix)
		if len(g.Resources) == 0 {
			bare = append(bare, g.Suffix)
		}
	}
	for _, list := range r.SameSubtree {
		named = append(named, list...)
	}
	if len(bare) == len(all) {
		return fault.Invalidf("There must be at least one resources or resources[$S] parameter.").With(placement.CodeMissingQuery)
	}
	if bad := without(bare, named); len(bad) > 0 {
		return fault.Invalidf("Resourceless suffixed group request should be specified in `same_subtree` query param: bad group(s) - %s.", pythonList(bad)).With(placement.CodeBadQuery)
	}
	if bad := without(named, all); len(bad) > 0 {
		return fault.Invalidf("Real suffixes should be specified in `same_subtree`: %s not found in %s.", pythonList(bad), pythonList(all)).With(placement.CodeBadQuery)
	}
	return nil
}

func without(list, known []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(known, s) })
}

// pythonList spells a list as the original's messages do.
func pythonList(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = fmt.Sprintf("'%s'", s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// checkOrphans is the rules before 1.36: every group has resources.
func checkOrphans(groups []placement.Group) error {
	if text := orphans(groups, "required", func(g *placement.Group) bool { return len(g.Required) > 0 }); text != "" {
		return fault.Invalidf("All traits parameters must be associated with resources.  Found the following orphaned traits keys: %s", text)
	}
	if text := orphans(groups, "member_of", func(g *placement.Group) bool { return len(g.MemberOf)+len(g.NotIn) > 0 }); text != "" {
		return fault.Invalidf("All member_of parameters must be associated with resources. Found the following orphaned member_of keys: %s", text)
	}
	if slices.ContainsFunc(groups, func(g placement.Group) bool { return len(g.Resources) == 0 }) {
		return fault.Invalidf("All request groups must specify resources.")
	}
	if len(groups) == 0 {
		return fault.Invalidf("At least one request group (`resources` or `resources{$S}`) is required.")
	}
	return nil
}
