package mapping

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// local reads one object of a rule's local part; refs is how many direct values
// the rule has.
func (r *reader) local(raw json.RawMessage, path, version string, refs int) (out local) {
	names := []string{"user", "group", "groups", "group_ids", "domain", "projects"}
	if version == V3 {
		names = append(names, "projects_json")
	}
	m := r.object(raw, path, names...)
	for _, name := range slices.Sorted(maps.Keys(m)) {
		member, at := m[name], path+"."+name
		switch name {
		case "user":
			out.user = r.user(member, at, refs)
		case "group":
			r.group(member, at, refs, &out)
		case "groups":
			out.groups = r.list(member, at, refs)
		case "group_ids":
			out.groupIDs = r.list(member, at, refs)
		case "domain":
			out.domain = r.domain(member, at, refs)
		case "projects":
			out.projects, out.hasProjects = r.projects(member, at, version, refs), true
		case "projects_json":
			out.projectsJSON, out.hasProjects = r.reference(member, at, refs), true
		}
	}
	return out
}

// user reads a user; one without members is none, as upstream takes it.
func (r *reader) user(raw json.RawMessage, path string, refs int) *userRule {
	m := r.object(raw, path, "id", "name", "email", "domain", "type")
	if len(m) == 0 {
		return nil
	}
	out := &userRule{kind: Ephemeral, id: r.optional(m, "id", path, refs), name: r.optional(m, "name", path, refs),
		email: r.optional(m, "email", path, refs)}
	if m["domain"] != nil {
		out.domain = r.domain(m["domain"], path+".domain", refs)
	}
	if m["type"] != nil {
		out.kind = r.text(m["type"], path+".type")
	}
	if out.kind != Ephemeral && out.kind != Local {
		r.fail(path+".type", "'%.64s' is not one of ['%s', '%s']", out.kind, Ephemeral, Local)
	}
	return out
}

func (r *reader) optional(m map[string]json.RawMessage, name, path string, refs int) template {
	if m[name] == nil {
		return nil
	}
	return r.template(m[name], path+"."+name, refs)
}

// group reads a group: by id, or by name in a domain.
func (r *reader) group(raw json.RawMessage, path string, refs int, into *local) {
	m := r.object(raw, path)
	if _, ok := m["id"]; ok {
		r.object(raw, path, "id!")
		into.groupID = r.template(m["id"], path+".id", refs)
		return
	}
	if m = r.object(raw, path, "name!", "domain!"); m == nil {
		return
	}
	into.group = &groupRule{r.template(m["name"], path+".name", refs), r.domain(m["domain"], path+".domain", refs)}
	if !into.group.domain.given() {
		r.fail(path+".domain", "'id' or 'name' is required")
	}
}

func (r *reader) domain(raw json.RawMessage, path string, refs int) domainRule {
	m := r.object(raw, path, "id", "name")
	return domainRule{r.optional(m, "id", path, refs), r.optional(m, "name", path, refs)}
}

func (r *reader) projects(raw json.RawMessage, path, version string, refs int) []projectRule {
	var out []projectRule
	for i, item := range r.array(raw, path, maxItems) {
		out = append(out, r.project(item, fmt.Sprintf("%s[%d]", path, i), version, refs))
	}
	return out
}

func (r *reader) project(raw json.RawMessage, path, version string, refs int) (out projectRule) {
	names := []string{"name!", "roles!"}
	if version != V1 {
		names = append(names, "domain")
	}
	m := r.object(raw, path, names...)
	if m == nil {
		return out
	}
	out.name = r.template(m["name"], path+".name", refs)
	if m["domain"] != nil {
		out.domain = r.domain(m["domain"], path+".domain", refs)
	}
	for i, item := range r.array(m["roles"], path+".roles", maxItems) {
		at := fmt.Sprintf("%s.roles[%d]", path, i)
		if role := r.object(item, at, "name!"); role != nil {
			out.roles = append(out.roles, r.template(role["name"], at+".name", refs))
		}
	}
	return out
}

// reference reads the "{0}", or "0", of projects_json.
func (r *reader) reference(raw json.RawMessage, path string, refs int) template {
	text := r.text(raw, path)
	if text != "" && strings.Trim(text, "0123456789") == "" {
		text = "{" + text + "}"
	}
	t, why := parseTemplate(text, refs)
	if why != "" {
		r.fail(path, "%s", why)
	} else if _, ok := t.only(); !ok {
		r.fail(path, "is a single reference such as '{0}'")
	}
	return t
}
