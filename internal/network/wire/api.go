package wire

import (
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
