package metadefs

import (
	"maps"
	"slices"

	"github.com/mekcloud/mek/internal/clock"
)

const base = "/v2/metadefs/namespaces"

func isoTime(us int64) string { return clock.FromMicros(us).Format("2006-01-02T15:04:05Z") }

// view renders a namespace; texts that were not given are left out.
func view(n *Namespace) map[string]any {
	out := map[string]any{"namespace": n.Name, "visibility": n.Visibility, "protected": n.Protected, "owner": n.Owner,
		"created_at": isoTime(n.CreatedAt), "updated_at": isoTime(n.UpdatedAt), "self": base + "/" + n.Name, "schema": "/v2/schemas/metadefs/namespace"}
	for name, text := range map[string]string{"display_name": n.DisplayName, "description": n.Description} {
		if text != "" {
			out[name] = text
		}
	}
	return out
}

// render writes a definition as its kind is shown.
func render(n *Namespace, k kind, d *definition) map[string]any {
	out := map[string]any{"name": d.Name}
	for name, value := range d.Body.V {
		out[name] = value
	}
	switch k.name {
	case objects.name:
		out["self"], out["schema"] = base+"/"+n.Name+"/objects/"+d.Name, "/v2/schemas/metadefs/object"
		if out["properties"] == nil {
			out["properties"] = map[string]any{}
		}
		out["created_at"], out["updated_at"] = isoTime(d.CreatedAt), isoTime(d.UpdatedAt)
	case types.name:
		out["created_at"], out["updated_at"] = isoTime(d.CreatedAt), isoTime(d.UpdatedAt)
	}
	return out
}

// collection renders the definitions of a kind: properties by name, others as a list.
func collection(n *Namespace, k kind, all []*definition) any {
	if k.name == properties.name {
		out := map[string]any{}
		for _, d := range all {
			one := render(n, k, d)
			delete(one, "name")
			out[d.Name] = one
		}
		return out
	}
	out := make([]map[string]any, 0, len(all))
	for _, d := range all {
		out = append(out, render(n, k, d))
	}
	return out
}

// member is the name of the collection in a namespace and in lists.
func (k kind) member() string {
	if k.name == types.name {
		return "resource_type_associations"
	}
	return k.many
}

// allTypes are the names of known and used resource types, sorted.
func allTypes(used []string) []string {
	set := map[string]bool{}
	for _, name := range slices.Concat(knownTypes, used) {
		set[name] = true
	}
	return slices.Sorted(maps.Keys(set))
}
