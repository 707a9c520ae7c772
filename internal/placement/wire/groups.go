package wire

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/microversion"
	"github.com/mekcloud/mek/internal/placement"
)

// ParseResources reads "VCPU:2,MEMORY_MB:1024".
func ParseResources(text string) (placement.Resources, error) {
	const form = "Badly formed resources parameter. Expected resources query string parameter in form: ?resources=VCPU:2,MEMORY_MB:1024. Got: %s."
	if strings.TrimSpace(text) == "" {
		return nil, fault.Invalidf(form, "empty string")
	}
	out := placement.Resources{}
	for part := range strings.SplitSeq(text, ",") {
		name, amount, ok := strings.Cut(part, ":")
		if !ok || strings.Contains(amount, ":") {
			return nil, fault.Invalidf(form, part)
		}
		n, err := strconv.ParseInt(strings.TrimSpace(amount), 10, 64)
		if err != nil {
			return nil, fault.Invalidf("Requested resource %s expected positive integer amount. Got: %s.", name, amount)
		}
		if n < 1 {
			return nil, fault.Invalidf("Requested resource %s requires amount >= 1. Got: %d.", name, n)
		}
		out[name] = n
	}
	return out, nil
}

// traitRules says what a version takes in lists of traits.
type traitRules struct{ forbidden, any bool }

// parseTraits reads one value of required: "A,!B" or "in:A,B".
func parseTraits(text string, rules traitRules) (required [][]string, forbidden []string, err error) {
	if list, ok := strings.CutPrefix(text, "in:"); ok {
		one, err := parseAnyTraits(text, list, rules)
		return [][]string{one}, nil, err
	}
	form := "HW_CPU_X86_VMX,CUSTOM_MAGIC"
	if rules.forbidden {
		form = "HW_CPU_X86_VMX,!CUSTOM_MAGIC"
	}
	for word := range strings.SplitSeq(text, ",") {
		word = strings.TrimSpace(word)
		name := strings.TrimLeft(word, "!")
		if name == "" {
			return nil, nil, badQuery("Expected 'required' parameter value of the form: %s. Got an empty trait in: %s", form, text)
		}
		if name != word {
			forbidden = append(forbidden, name)
		} else {
			required = append(required, []string{name})
		}
	}
	if len(forbidden) > 0 && !rules.forbidden {
		return nil, nil, badQuery("Expected 'required' parameter value of the form: HW_CPU_X86_VMX,CUSTOM_MAGIC. Got: %s", text)
	}
	return required, forbidden, nil
}

func parseAnyTraits(text, list string, rules traitRules) (one []string, err error) {
	if !rules.any {
		return nil, badQuery("The format 'in:HW_CPU_X86_VMX,CUSTOM_MAGIC' only supported since microversion 1.39. Got: %s", text)
	}
	for word := range strings.SplitSeq(list, ",") {
		word = strings.TrimSpace(word)
		if word == "" {
			return nil, badQuery("Expected 'required' parameter value of the form: in:HW_CPU_X86_VMX,CUSTOM_MAGIC. Got an empty trait in: %s", text)
		}
		if word[0] == '!' {
			return nil, badQuery("The format 'in:HW_CPU_X86_VMX,CUSTOM_MAGIC' does not support forbidden traits. Got: %s", text)
		}
		one = append(one, word)
	}
	return one, nil
}

// requiredOf reads required<suffix>; before 1.39 only the last value counts.
func requiredOf(q url.Values, suffix string, v microversion.Version, g *placement.Group) error {
	values := q["required"+suffix]
	if v < AnyTraits {
		values = values[len(values)-1:]
	}
	for _, text := range values {
		required, forbidden, err := parseTraits(text, traitRules{v >= ForbiddenTraits, v >= AnyTraits})
		if err != nil {
			return err
		}
		g.Required, g.Forbidden = append(g.Required, required...), append(g.Forbidden, forbidden...)
	}
	return nil
}

// memberOf reads member_of<suffix>: "U", "!U", "in:U,U", "!in:U,U".
func memberOf(q url.Values, suffix string, v microversion.Version, g *placement.Group) error {
	values := q["member_of"+suffix]
	if v < RepeatMemberOf && len(values) > 1 {
		return fault.Invalidf("Multiple member_of%s parameters are not supported", suffix)
	}
	for _, text := range values {
		rest, negative := strings.CutPrefix(text, "!")
		rest, several := strings.CutPrefix(rest, "in:")
		list := []string{rest}
		if several {
			list = strings.Split(rest, ",")
		} else if strings.Contains(text, ",") {
			return fault.Invalidf("Multiple values for 'member_of' must be prefixed with the 'in:' or '!in:' keyword using the valid microversion. Got: %s", text)
		}
		for _, uuid := range list {
			if _, ok := UUID(uuid); !ok {
				return badQuery("Expected 'member_of' parameter to contain valid UUID(s). Got: %s", uuid)
			}
		}
		switch {
		case !negative:
			g.MemberOf = append(g.MemberOf, list)
		case v < ForbiddenMemberOf:
			return fault.Invalidf("Forbidden member_of%s parameters are not supported in the specified microversion", suffix)
		default:
			g.NotIn = append(g.NotIn, list...)
		}
	}
	return nil
}

func inTree(q url.Values, suffix string, g *placement.Group) error {
	text, _ := Last(q, "in_tree"+suffix)
	text = strings.TrimSpace(text)
	if _, ok := UUID(text); !ok {
		return badQuery("Expected 'in_tree' parameter to be a format of uuid. Got: %s", text)
	}
	g.InTree = text
	return nil
}

// ParseFilter reads the parameters that select providers in a list.
func ParseFilter(q url.Values, v microversion.Version) (uuid, name string, g placement.Group, err error) {
	known := []string{"uuid", "name"}
	for _, k := range []struct {
		name  string
		since microversion.Version
	}{{"member_of", FilterMemberOf}, {"resources", FilterResources}, {"in_tree", Nested}, {"required", FilterRequired}} {
		if v >= k.since {
			known = append(known, k.name)
		}
	}
	if err = Known(q, OneOf(known...)); err != nil {
		return
	}
	uuid, _ = Last(q, "uuid")
	name, _ = Last(q, "name")
	g.InTree, _ = Last(q, "in_tree")
	for key, value := range map[string]string{"uuid": uuid, "in_tree": g.InTree} {
		if _, ok := UUID(value); !ok && q.Has(key) {
			err = badQuery("'%s' is not a 'uuid'", value)
			return
		}
	}
	if text, ok := Last(q, "resources"); ok {
		if g.Resources, err = ParseResources(text); err != nil {
			return
		}
	}
	if q.Has("member_of") {
		if err = memberOf(q, "", v, &g); err != nil {
			return
		}
	}
	if q.Has("required") {
		err = requiredOf(q, "", v, &g)
	}
	return
}

// splitKey takes the suffix off the name of a group's parameter.
func splitKey(key string, v microversion.Version) (prefix, suffix string, ok bool) {
	for _, prefix := range []string{"resources", "required", "member_of", "in_tree"} {
		suffix, ok := strings.CutPrefix(key, prefix)
		if !ok {
			continue
		}
		switch {
		case prefix == "in_tree" && v < InTree:
			return "", "", false
		case suffix == "":
			return prefix, "", true
		case v >= NamedGroups:
			return prefix, suffix, groupForm.MatchString(suffix)
		case v >= Granular:
			return prefix, suffix, numberForm.MatchString(suffix)
		}
	}
	return "", "", false
}

// parseGroups reads the groups of a request, ordered by suffix.
func parseGroups(q url.Values, v microversion.Version) ([]placement.Group, error) {
	groups := map[string]*placement.Group{}
	for key := range q {
		prefix, suffix, ok := splitKey(key, v)
		if !ok {
			continue
		}
		g := groups[suffix]
		if g == nil {
			g = &placement.Group{Suffix: suffix}
			groups[suffix] = g
		}
		var err error
		switch prefix {
		case "resources":
			text, _ := Last(q, key)
			g.Resources, err = ParseResources(text)
		case "required":
			err = requiredOf(q, suffix, v, g)
		case "member_of":
			err = memberOf(q, suffix, v, g)
		case "in_tree":
			err = inTree(q, suffix, g)
		}
		if err != nil {
			return nil, err
		}
	}
	out := make([]placement.Group, 0, len(groups))
	for _, g := range groups {
		out = append(out, *g)
	}
	slices.SortFunc(out, func(a, b placement.Group) int { return strings.Compare(a.Suffix, b.Suffix) })
	return out, nil
}

// orphans lists the parameters of groups that lack resources.
func orphans(groups []placement.Group, prefix string, has func(g *placement.Group) bool) string {
	var out []string
	for i := range groups {
		if len(groups[i].Resources) == 0 && has(&groups[i]) {
			out = append(out, prefix+groups[i].Suffix)
		}
	}
	return strings.Join(out, ", ")
}

// conflicts lists the groups that require and forbid the same.
func conflicts(groups []placement.Group) string {
	var out []string
	for _, g := range groups {
		for _, list := range g.Required {
			if !slices.ContainsFunc(list, func(t string) bool { return !slices.Contains(g.Forbidden, t) }) {
				slices.Sort(list)
				out = append(out, fmt.Sprintf("required%s: (%s)", g.Suffix, strings.Join(list, ", ")))
			}
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}
