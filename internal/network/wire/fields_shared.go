package wire

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// One decodes the body of a create that knows no lists.
func One[B any](c *rest.Call, one string) (B, error) {
	items, bulk, err := Bulk[B](c, one, "")
	if err != nil || bulk {
		var none B
		return none, err
	}
	return items[0], nil
}

// Change finds what an update is about and decodes its body.
func Change[T, B any](c *rest.Call, r *rest.Resource[T]) (*T, B, error) {
	var in B
	item, err := r.Find(c, c.Var("id"))
	if err != nil {
		return nil, in, err
	}
	in, err = One[B](c, r.One)
	return item, in, err
}

// Remove answers a delete.
func Remove[T any](c *rest.Call, r *rest.Resource[T], remove func(*T) error) (rest.Reply, error) {
	item, err := r.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	if err := remove(item); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

// SharedTarget is what policy asks about an object that projects may share.
func SharedTarget[T any](std func(*T) *network.Standard, audience func(*T) network.Audience) func(*rest.Call, *T) policy.Target {
	return func(c *rest.Call, t *T) policy.Target {
		out := Target(std(t).ProjectID)
		out["shared"] = audience(t).Includes(c.Auth.ProjectID)
		return out
	}
}

// SharedField tells whether an object is shared with the caller.
func SharedField[T any](audience func(*T) network.Audience) rest.Field[T] {
	return rest.Field[T]{Name: "shared", With: func(c *rest.Call, t *T) any { return audience(t).Includes(c.Auth.ProjectID) }}
}

// SharedFilter lists what is shared with the caller, or what is not.
func SharedFilter() rest.Filter {
	return rest.Filter{Name: "shared", Terms: func(c *rest.Call, values []string) ([]listing.Term, error) {
		on, ok := rest.ParseBool(values[len(values)-1])
		if !ok {
			return nil, fault.Invalidf("Invalid input for shared. Reason: '%s' cannot be converted to boolean.", values[len(values)-1]).With("HTTPBadRequest")
		}
		column := records.SharedWith
		if !on {
			column = records.NotSharedWith
		}
		return []listing.Term{{Column: column, Values: []any{c.Auth.ProjectID}}}, nil
	}}
}

// NetworkTarget is what policy asks about a network.
func NetworkTarget(c *rest.Call, n *network.Network) policy.Target {
	t := Target(n.ProjectID)
	t["shared"], t["router:external"] = n.SharedWith.Includes(c.Auth.ProjectID), n.ExternalTo.Includes(c.Auth.ProjectID)
	return t
}

// Policy checks a QoS policy that an object should get; the caller must see it.
func Policy(c *rest.Call, r *records.Records, given rest.Opt[string]) (string, error) {
	id := given.Or("")
	if id == "" {
		return "", nil
	}
	p, err := r.Policies.Get(c.Context(), id)
	if err == nil {
		t := Target(p.ProjectID)
		t["shared"] = p.SharedWith.Includes(c.Auth.ProjectID)
		if c.Allow("get_policy", t) {
			return id, nil
		}
	}
	if err == nil || fault.Is(err, fault.NotFound) {
		err = fault.NotFoundf("QoS policy %s could not be found.", id).With("QosPolicyNotFound")
	}
	return "", err
}

// Domain reads a DNS domain; empty is none. It must end in a dot.
func Domain(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if !strings.HasSuffix(text, ".") {
		return "", fault.Invalidf("Invalid input for dns_domain. Reason: '%s' is not a FQDN.", text).With("HTTPBadRequest")
	}
	if !network.DNSLabels(strings.ToLower(strings.TrimSuffix(text, "."))) {
		return "", fault.Invalidf("Invalid input for dns_domain. Reason: '%s' not a valid PQDN or FQDN.", text).With("HTTPBadRequest")
	}
	return text, nil
}

// The limits of upstream.
const (
	maxTag  = 255
	maxTags = 50
)

// Tags checks the tags of a resource, sorts them and leaves out repeated ones.
func Tags(in []string) ([]string, error) {
	out := slices.Compact(slices.Sorted(slices.Values(in)))
	if len(out) > maxTags || slices.ContainsFunc(out, func(t string) bool { return t == "" || len(t) > maxTag }) {
		return nil, fault.Invalidf("Invalid input for tags. Reason: at most %d tags of 1 to %d characters.", maxTags, maxTag).With("HTTPBadRequest")
	}
	return out, nil
}

// Zones refuses a hint at an availability zone that there is not.
func Zones(hints, zones []string) error {
	for _, z := range hints {
		if !slices.Contains(zones, z) {
			return fault.NotFoundf("AvailabilityZone %s could not be found.", z).With("AvailabilityZoneNotFound")
		}
	}
	return nil
}

// Profile reads what somebody notes of a port on a host: a JSON object; what
// names the member for errors. Empty: nothing.
func Profile(what string, given rest.Opt[json.RawMessage]) (string, error) {
	if !given.Set || given.Null {
		return "", nil
	}
	var object map[string]any
	if json.Unmarshal(given.V, &object) != nil || len(given.V) > 4095 {
		return "", fault.Invalidf("Invalid input for %s. Reason: it is not a dictionary of at most 4095 characters.", what).With("HTTPBadRequest")
	}
	return string(given.V), nil
}
