package messages

import (
	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/blockstorage/wire"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	ruleGet    = "message:get"
	ruleGetAll = "message:get_all"
	ruleDelete = "message:delete"
)

// Rules are the policy rules of messages, with upstream's names and defaults.
func Rules() []policy.Rule {
	return []policy.Rule{
		{Name: ruleGetAll, Check: policy.ProjectReaderOrAdmin, Description: "List messages."},
		{Name: ruleGet, Check: policy.ProjectReaderOrAdmin, Description: "Show a message."},
		{Name: ruleDelete, Check: policy.ProjectMemberOrAdmin, Description: "Delete a message."},
	}
}

// Routes are the operations of messages.
func (s *Store) Routes() []rest.Route {
	t, since := table(s), blockstorage.UserMessages
	return []rest.Route{
		{Method: "GET", Path: "/v3/messages", Rule: ruleGetAll, Since: since, Handle: func(c *rest.Call) (rest.Reply, error) {
			if err := wire.CheckFilters(c, "message"); err != nil {
				return rest.Reply{}, err
			}
			return t.Index(c)
		}},
		{Method: "GET", Path: "/v3/messages/{id}", Rule: ruleGet, Object: true, Since: since, Handle: t.Read},
		{Method: "DELETE", Path: "/v3/messages/{id}", Rule: ruleDelete, Object: true, Audit: "delete", Since: since, Handle: s.remove(&t)},
	}
}

func table(s *Store) rest.Resource[message] {
	own := func(c *rest.Call) []listing.Term {
		return []listing.Term{{Column: "project_id", Values: []any{c.Auth.ProjectID}}}
	}
	return rest.Resource[message]{
		One: "message", Many: "messages", Show: ruleGet, Store: s, NotFound: notFound, All: policyNobody, AllKeys: []string{"@never"}, Visible: own,
		ID:     func(m *message) string { return m.ID },
		Target: func(m *message) policy.Target { return policy.Target{"project_id": m.ProjectID} },
		Order:  []listing.Order{{Column: "created_at", Desc: true}},
		Fields: []rest.Field[message]{
			{Name: "id", Column: "id", Get: func(m *message) any { return m.ID }},
			{Name: "event_id", Column: "event_id", Get: func(m *message) any { return m.EventID }},
			{Name: "user_message", Get: func(m *message) any { return m.Text }},
			{Name: "message_level", Get: func(*message) any { return "ERROR" }},
			{Name: "created_at", Column: "created_at", Kind: rest.Moment, Get: func(m *message) any { return blockstorage.Time(m.CreatedAt) }},
			{Name: "guaranteed_until", Get: func(m *message) any {
				return blockstorage.Time(clock.Micros(clock.FromMicros(m.CreatedAt).Add(keep)))
			}},
			{Name: "request_id", Column: "request_id", Get: func(m *message) any { return m.RequestID }},
			{Name: "resource_type", Column: "kind", Get: func(m *message) any { return m.Kind }},
			{Name: "resource_uuid", Column: "resource_id", Get: func(m *message) any { return m.ResourceID }},
			{Name: "links", With: func(c *rest.Call, m *message) any {
				return []map[string]string{{"rel": "self", "href": c.Link("/v3/" + c.Auth.ProjectID + "/messages/" + m.ID)},
					{"rel": "bookmark", "href": c.Link("/" + c.Auth.ProjectID + "/messages/" + m.ID)}}
			}},
		},
	}
}

// policyNobody names the rule that lists are asked with; they never ask for all.
const policyNobody = "context_is_admin"

func (s *Store) remove(t *rest.Resource[message]) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		m, err := t.Find(c, c.Var("id"))
		if err != nil {
			return rest.Reply{}, err
		}
		record := c.Event("message", m.ID, m.ProjectID)
		err = s.db.Write(c.Context(), func(tx *db.Tx) error {
			if _, err := rows.DeleteWhere(c.Context(), tx, listing.Term{Column: "id", Values: []any{m.ID}}); err != nil {
				return err
			}
			return outbox.Write(c.Context(), tx, record)
		})
		if err != nil {
			return rest.Reply{}, err
		}
		return rest.NoContent()
	}
}
