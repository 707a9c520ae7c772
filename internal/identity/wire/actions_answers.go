package wire

import "github.com/mekcloud/mek/internal/rest"

// Shown answers 200 with an object, or with the error that came in its place.
// The call that gives both is the argument of what it returns:
// wire.Shown(c, "group", view)(s.Get(ctx, id)).
func Shown[T any](c *rest.Call, one string, view func(*rest.Call, *T) map[string]any) func(*T, error) (rest.Reply, error) {
	return answer(c, one, view, rest.OK)
}

// Made is Shown for what was created: 201.
func Made[T any](c *rest.Call, one string, view func(*rest.Call, *T) map[string]any) func(*T, error) (rest.Reply, error) {
	return answer(c, one, view, rest.Created)
}

func answer[T any](c *rest.Call, one string, view func(*rest.Call, *T) map[string]any, reply func(any) (rest.Reply, error)) func(*T, error) (rest.Reply, error) {
	return func(item *T, err error) (rest.Reply, error) {
		if err != nil {
			return rest.Reply{}, err
		}
		return reply(map[string]any{one: view(c, item)})
	}
}

// Done answers 204, or with the error.
func Done(err error) (rest.Reply, error) {
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

// Views shows each item of a list that was loaded whole.
func Views[T any](c *rest.Call, items []*T, view func(*rest.Call, *T) map[string]any) []map[string]any {
	out := make([]map[string]any, len(items))
	for i, item := range items {
		out[i] = view(c, item)
	}
	return out
}

// Listed is Shown for a collection that is not paged.
func Listed[T any](c *rest.Call, many string, view func(*rest.Call, *T) map[string]any) func([]*T, error) (rest.Reply, error) {
	return func(items []*T, err error) (rest.Reply, error) {
		if err != nil {
			return rest.Reply{}, err
		}
		return rest.OK(Collection(c, many, Views(c, items, view)))
	}
}
