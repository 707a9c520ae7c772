package servers

import (
	"hash/fnv"
	"slices"
	"strconv"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	ruleMigrations     = prefix + "os-migrations:index"
	ruleMigrationsAll  = ruleMigrations + ":all_projects"
	ruleMigrationsHost = ruleMigrations + ":host"
	ruleMoves          = prefix + "servers:migrations:"
	ruleMovesHost      = ruleMoves + "index:host"
)

func migrationRules() []policy.Rule {
	var out []policy.Rule
	add := func(check, description string, names ...string) {
		for _, n := range names {
			out = append(out, policy.Rule{Name: n, Check: check, Scopes: []string{"project"}, Description: description})
		}
	}
	add(policy.ProjectManagerOrAdmin, "See and steer migrations of the project.", ruleMigrations, ruleMoves+"index", ruleMoves+"force_complete", ruleMoves+"delete")
	add(policy.Admin, "See every migration, and its hosts.", ruleMigrationsAll, ruleMigrationsHost, ruleMovesHost, ruleMoves+"show")
	return out
}

func (a *api) migrationRoutes() []rest.Route {
	one := "/v2.1/servers/{id}/migrations/{migration}"
	return []rest.Route{
		{Method: "GET", Path: "/v2.1/os-migrations", Rule: ruleMigrations, Handle: a.migrations},
		{Method: "GET", Path: "/v2.1/servers/{id}/migrations", Rule: ruleMoves + "index", Object: true, Since: compute.ServerMigrations, Handle: a.moves},
		{Method: "GET", Path: one, Rule: ruleMoves + "show", Object: true, Since: compute.ServerMigrations, Handle: a.showMove},
		{Method: "DELETE", Path: one, Rule: ruleMoves + "delete", Object: true, Audit: "delete", Since: compute.AbortMigration, Handle: a.abortMove},
		{Method: "POST", Path: one + "/action", Since: compute.ForceComplete, Actions: map[string]rest.Action{
			"force_complete": {Rule: ruleMoves + "force_complete", Handle: a.completeMove}}},
	}
}

// flavorNumber stands for a flavor where upstream shows the number of its row.
func flavorNumber(id string) int64 {
	if n, err := strconv.ParseInt(id, 10, 32); err == nil {
		return n
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // never fails
	return int64(h.Sum32() >> 1)
}

func migrationView(c *rest.Call, m *migration) map[string]any {
	out := map[string]any{"id": m.Serial, "status": m.Status, "instance_uuid": m.Server, "source_node": orNull(m.SourceHost), "source_compute": orNull(m.SourceHost),
		"dest_node": orNull(m.DestHost), "dest_compute": orNull(m.DestHost), "dest_host": nil, "old_instance_type_id": flavorNumber(m.OldFlavor.ID),
		"new_instance_type_id": flavorNumber(m.NewFlavor.ID), "created_at": usageTime(m.CreatedAt), "updated_at": usageTime(m.UpdatedAt)}
	if c.At(compute.ServerMigrations) {
		out["migration_type"] = m.Kind
		if m.Kind == compute.LiveMigration && m.InProgress() {
			path := "/servers/" + m.Server + "/migrations/" + strconv.FormatInt(m.Serial, 10)
			out["links"] = []map[string]string{{"rel": "self", "href": c.Link("/v2.1" + path)}, {"rel": "bookmark", "href": c.Link(path)}}
		}
	}
	if c.At(compute.MigrationPaging) {
		out["uuid"] = m.ID
	}
	if c.At(compute.MigrationOwners) {
		out["user_id"], out["project_id"] = m.UserID, m.ProjectID
	}
	return out
}

// hostMembers are what only those see of migrations who may see hosts.
var hostMembers = []string{"source_node", "source_compute", "dest_node", "dest_compute", "dest_host"}

// without empties the members about hosts unless the caller may see them.
func without(view map[string]any, hosts bool) map[string]any {
	if !hosts {
		for _, name := range hostMembers {
			view[name] = nil
		}
	}
	return view
}

// migrationFilters are the parameters that lists of migrations know, by column.
var migrationFilters = map[string]string{"status": "status", "instance_uuid": "server", "source_compute": "source_host", "migration_type": "kind",
	"user_id": "user_id", "project_id": "project_id"}

func (a *api) migrations(c *rest.Call) (rest.Reply, error) {
	q, err := migrationQuery(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if !c.Allow(ruleMigrationsAll, c.Caller()) {
		if asked := c.Values().Get("project_id"); asked != "" && c.At(compute.MigrationOwners) && asked != c.Auth.ProjectID {
			return rest.Reply{}, fault.Forbiddenf("Policy doesn't allow %s to be performed.", ruleMigrationsAll)
		}
		q = q.And("project_id", listing.Eq, c.Auth.ProjectID)
	}
	hosts := c.Allow(ruleMigrationsHost, c.Caller())
	found, err := a.s.store.migrations(c.Context(), q)
	if err != nil {
		return rest.Reply{}, err
	}
	out := []map[string]any{}
	for _, m := range found {
		if host := c.Values().Get("host"); host == "" || hosts && (host == m.SourceHost || host == m.DestHost) {
			out = append(out, without(migrationView(c, m), hosts))
		}
	}
	body := map[string]any{"migrations": out}
	if c.At(compute.MigrationPaging) && q.Limit > 0 && len(found) == q.Limit {
		next := c.Request.URL.Query()
		next.Set("marker", found[len(found)-1].ID)
		body["migrations_links"] = []map[string]string{{"rel": "next", "href": c.Root() + c.Request.URL.Path + "?" + next.Encode()}}
	}
	return rest.OK(body)
}

func migrationQuery(c *rest.Call) (listing.Query, error) {
	q := listing.Query{Order: []listing.Order{{Column: "created_at", Desc: true}, {Column: "id", Desc: true}}}
	values := c.Values()
	for name, column := range migrationFilters {
		if owners := name == "user_id" || name == "project_id"; owners && !c.At(compute.MigrationOwners) {
			continue
		}
		if text := values.Get(name); text != "" {
			q = q.And(column, listing.Eq, text)
		}
	}
	if !c.At(compute.MigrationPaging) {
		return q, nil
	}
	known := []string{"status", "host", "instance_uuid", "source_compute", "hidden", "migration_type", "limit", "marker", "changes-since"}
	if c.At(compute.ChangesBefore) {
		known = append(known, "changes-before")
	}
	if c.At(compute.MigrationOwners) {
		known = append(known, "user_id", "project_id")
	}
	for name := range values {
		if !slices.Contains(known, name) {
			return q, fault.Invalidf("Additional properties are not allowed ('%s' was unexpected)", name)
		}
	}
	q.Limit = 1000
	if text := values.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return q, fault.Invalidf("Invalid input for query parameters limit. Value: %s", text)
		}
		if n > 0 {
			q.Limit = min(n, 1000)
		}
	}
	q.Marker = values.Get("marker")
	return migrationTimes(c, q)
}

func migrationTimes(c *rest.Call, q listing.Query) (listing.Query, error) {
	var since int64
	if text := c.Values().Get("changes-since"); text != "" {
		at, err := rest.ParseTime("changes-since", text)
		if err != nil {
			return q, err
		}
		since, q = at, q.And("updated_at", listing.MoreEq, at)
	}
	if text := c.Values().Get("changes-before"); text != "" {
		at, err := rest.ParseTime("changes-before", text)
		if err != nil {
			return q, err
		}
		if at < since {
			return q, fault.Invalidf("The value of changes-since must be less than or equal to changes-before.")
		}
		q = q.And("updated_at", listing.LessEq, at)
	}
	return q, nil
}

func moveView(c *rest.Call, m *migration) map[string]any {
	out := map[string]any{"id": m.Serial, "status": m.Status, "server_uuid": m.Server, "source_node": orNull(m.SourceHost), "source_compute": orNull(m.SourceHost),
		"dest_node": orNull(m.DestHost), "dest_compute": orNull(m.DestHost), "dest_host": nil, "created_at": usageTime(m.CreatedAt),
		"updated_at": usageTime(m.UpdatedAt)}
	for _, what := range []string{"disk", "memory"} {
		for _, amount := range []string{"total", "processed", "remaining"} {
			out[what+"_"+amount+"_bytes"] = nil // the drivers here do not tell
		}
	}
	if c.At(compute.MigrationPaging) {
		out["uuid"] = m.ID
	}
	if c.At(compute.MigrationOwners) {
		out["user_id"], out["project_id"] = m.UserID, m.ProjectID
	}
	return out
}

func (a *api) moves(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	found, err := a.s.store.migrations(c.Context(), listing.Query{}.And("server", listing.Eq, one.ID).And("kind", listing.Eq, string(compute.LiveMigration)))
	if err != nil {
		return rest.Reply{}, err
	}
	out := []map[string]any{}
	for _, m := range found {
		if m.InProgress() {
			out = append(out, without(moveView(c, m), c.Allow(ruleMovesHost, target(&one.Server))))
		}
	}
	return rest.OK(map[string]any{"migrations": out})
}

// findMove loads a migration of the path's server by its number.
func (a *api) findMove(c *rest.Call) (*Server, *migration, error) {
	one, err := a.find(c)
	if err != nil {
		return nil, nil, err
	}
	n, err := strconv.ParseInt(c.Var("migration"), 10, 64)
	if err != nil {
		return one, nil, nil // no migration has such a number
	}
	found, err := a.s.store.migrations(c.Context(), listing.Query{}.And("server", listing.Eq, one.ID).And("serial", listing.Eq, n))
	if err != nil || len(found) == 0 {
		return one, nil, err
	}
	return one, found[0], nil
}

func (a *api) showMove(c *rest.Call) (rest.Reply, error) {
	one, m, err := a.findMove(c)
	switch {
	case err != nil:
		return rest.Reply{}, err
	case m == nil:
		return rest.Reply{}, fault.NotFoundf("In-progress live migration %s is not found for server %s.", c.Var("migration"), one.ID)
	case m.Kind != compute.LiveMigration:
		return rest.Reply{}, fault.NotFoundf("Migration %d for server %s is not live-migration.", m.Serial, one.ID)
	case !m.InProgress():
		return rest.Reply{}, fault.NotFoundf("Live migration %d for server %s is not in progress.", m.Serial, one.ID)
	}
	return rest.OK(map[string]any{"migration": moveView(c, m)})
}

func (a *api) completeMove(c *rest.Call) (rest.Reply, error) {
	if string(c.Payload()) != "null" {
		return rest.Reply{}, fault.Invalidf("Invalid input for field/attribute force_complete. Value: %s. It is not null", c.Payload())
	}
	one, m, err := a.findMove(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if m == nil {
		return rest.Reply{}, fault.Invalidf("Migration %s not found for instance %s", c.Var("migration"), one.ID)
	}
	if err := a.s.CompleteMigration(c.Context(), one.ID, m.ID, override(c, one), record(c, one)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

func (a *api) abortMove(c *rest.Call) (rest.Reply, error) {
	one, m, err := a.findMove(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if m == nil {
		return rest.Reply{}, fault.NotFoundf("Migration %s not found for instance %s", c.Var("migration"), one.ID)
	}
	if err := a.s.AbortMigration(c.Context(), one.ID, m.ID, override(c, one), record(c, one)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}
