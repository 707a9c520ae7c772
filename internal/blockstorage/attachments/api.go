package attachments

import (
	"context"
	"slices"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/blockstorage/wire"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	ruleCreate   = "volume:attachment_create"
	ruleUpdate   = "volume:attachment_update"
	ruleDelete   = "volume:attachment_delete"
	ruleComplete = "volume:attachment_complete"
	ruleGet      = "volume:get_attachment" // ours: upstream asks volume:get of the volume
	ruleAll      = "context_is_admin"
)

// Rules are the policy rules of attachments, with upstream's names and defaults.
func Rules() []policy.Rule {
	return []policy.Rule{
		{Name: ruleCreate, Check: policy.ProjectMemberOrAdmin, Description: "Reserve a volume."},
		{Name: ruleUpdate, Check: policy.ProjectMemberOrAdmin, Description: "Connect an attachment."},
		{Name: ruleDelete, Check: policy.ProjectMemberOrAdmin, Description: "Delete an attachment."},
		{Name: ruleComplete, Check: policy.ProjectMemberOrAdmin, Description: "Complete an attachment."},
		{Name: ruleGet, Check: policy.ProjectReaderOrAdmin, Description: "Look at attachments."},
	}
}

// Service is what the API asks of volumes.
type Service interface {
	Reserve(ctx context.Context, r blockstorage.Reservation) (*blockstorage.Attachment, error)
	Complete(ctx context.Context, attachment, device string) error
	Connect(ctx context.Context, attachment, host string) (*blockstorage.Volume, error)
	// ConnectorHost is the host of this cloud that a connector speaks for.
	ConnectorHost(connector map[string]any) (string, error)
}

// API serves attachments.
type API struct {
	store   *Store
	service Service
	volumes blockstorage.Volumes
	table   rest.Resource[blockstorage.Attachment]
	brief   rest.Resource[blockstorage.Attachment]
}

// New makes the API.
func New(s *Store, service Service, volumes blockstorage.Volumes) *API {
	a := &API{store: s, service: service, volumes: volumes, brief: table(s)}
	a.table = table(s)
	a.table.Fields = append(a.table.Fields, details...)
	return a
}

// Routes are the operations of attachments.
func (a *API) Routes() []rest.Route {
	since := blockstorage.AttachmentsAPI
	return []rest.Route{
		{Method: "GET", Path: "/v3/attachments", Rule: ruleGet, Since: since, Handle: func(c *rest.Call) (rest.Reply, error) { return a.list(c, &a.brief) }},
		{Method: "GET", Path: "/v3/attachments/detail", Rule: ruleGet, Since: since, Handle: func(c *rest.Call) (rest.Reply, error) { return a.list(c, &a.table) }},
		{Method: "POST", Path: "/v3/attachments", Rule: ruleCreate, Since: since, Audit: "create", Handle: a.create},
		{Method: "GET", Path: "/v3/attachments/{id}", Rule: ruleGet, Object: true, Since: since, Handle: a.table.Read},
		{Method: "PUT", Path: "/v3/attachments/{id}", Rule: ruleUpdate, Object: true, Since: since, Audit: "update", Handle: a.update},
		{Method: "DELETE", Path: "/v3/attachments/{id}", Rule: ruleDelete, Object: true, Since: since, Audit: "delete", Handle: a.remove},
		{Method: "POST", Path: "/v3/attachments/{id}/action", Since: since, Actions: map[string]rest.Action{
			"os-complete": {Rule: ruleComplete, Audit: "complete", Since: blockstorage.CompleteAttach, Handle: a.complete}}},
	}
}

func table(s *Store) rest.Resource[blockstorage.Attachment] {
	type attachment = blockstorage.Attachment
	return rest.Resource[attachment]{
		One: "attachment", Many: "attachments", Show: ruleGet, Store: s, NotFound: blockstorage.AttachmentNotFound,
		ID:     func(t *attachment) string { return t.ID },
		Target: func(t *attachment) policy.Target { return policy.Target{"project_id": t.ProjectID} },
		Order:  []listing.Order{{Column: "created_at", Desc: true}},
		Fields: []rest.Field[attachment]{
			{Name: "id", Column: "id", Get: func(t *attachment) any { return t.ID }},
			{Name: "status", Column: "status", Get: func(t *attachment) any { return t.Status }},
			{Name: "instance", Get: func(t *attachment) any { return blockstorage.NullIfEmpty(t.ServerID) }},
			{Name: "instance_id", Column: "server_id", Hidden: true},
			{Name: "instance_uuid", Column: "server_id", Hidden: true},
			{Name: "volume_id", Column: "volume_id", Get: func(t *attachment) any { return t.VolumeID }},
			{Name: "attach_status", Column: "status", Hidden: true},
			{Name: "project_id", Column: "project_id", Hidden: true, Rule: ruleAll},
		},
		Filters: []rest.Filter{{Name: "all_tenants", Terms: func(*rest.Call, []string) ([]listing.Term, error) { return nil, nil }}},
	}
}

var details = []rest.Field[blockstorage.Attachment]{
	{Name: "attached_at", Get: func(t *blockstorage.Attachment) any { return blockstorage.TimeOrEmpty(t.AttachedAt) }},
	{Name: "detached_at", Get: func(*blockstorage.Attachment) any { return "" }},
	{Name: "attach_mode", Get: func(t *blockstorage.Attachment) any {
		if t.Mode == "" {
			return "null"
		}
		return t.Mode
	}},
	{Name: "connection_info", Get: connection},
}

// connection tells how the volume is reached: by the host that keeps it.
func connection(t *blockstorage.Attachment) any {
	if !t.Connected {
		return map[string]any{}
	}
	return map[string]any{"driver_volume_type": "local", "attachment_id": t.ID, "volume_id": t.VolumeID, "access_mode": modeOf(t), "encrypted": false}
}

func modeOf(t *blockstorage.Attachment) string {
	if t.Mode == "" {
		return "rw"
	}
	return t.Mode
}

func (a *API) list(c *rest.Call, t *rest.Resource[blockstorage.Attachment]) (rest.Reply, error) {
	if err := wire.CheckFilters(c, "attachment"); err != nil {
		return rest.Reply{}, err
	}
	terms := []listing.Term{{Column: "project_id", Values: []any{c.Auth.ProjectID}}}
	if all, _ := rest.ParseBool(c.Values().Get("all_tenants")); all && c.Allow(ruleAll, c.Caller()) {
		terms = nil
	}
	body, err := t.ListBody(c, terms...)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(body)
}

func (a *API) create(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Attachment struct {
			Server    rest.Opt[string] `json:"instance_uuid" v:"uuid"`
			Volume    string           `json:"volume_uuid" v:"required,uuid"`
			Connector map[string]any   `json:"connector" v:"null"`
			Mode      rest.Opt[string] `json:"mode" since:"3.54" v:"enum=rw|ro"`
		} `json:"attachment" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	host := ""
	if len(in.Attachment.Connector) > 0 {
		var err error
		if host, err = a.service.ConnectorHost(in.Attachment.Connector); err != nil {
			return rest.Reply{}, err
		}
	}
	attachment := id.New()
	ctx := outbox.With(c.Context(), c.Event("attachment", attachment, c.Auth.ProjectID))
	made, err := a.service.Reserve(ctx, blockstorage.Reservation{ID: attachment, VolumeID: in.Attachment.Volume, ServerID: in.Attachment.Server.V,
		Viewer:   blockstorage.Viewer{ProjectID: c.Auth.ProjectID, UserID: c.Auth.UserID, Admin: c.Allow(ruleAll, c.Caller())},
		ReadOnly: in.Attachment.Mode.V == "ro"})
	if err != nil {
		return rest.Reply{}, err
	}
	if host == "" {
		return rest.OK(a.table.Body(c, made))
	}
	return a.connect(c, c.Context(), made.ID, host)
}

// connect brings an attachment's volume to a host and shows the attachment.
func (a *API) connect(c *rest.Call, ctx context.Context, attachment, host string) (rest.Reply, error) {
	if _, err := a.service.Connect(ctx, attachment, host); err != nil {
		return rest.Reply{}, err
	}
	at, err := a.store.Get(c.Context(), attachment)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(a.table.Body(c, at))
}

// update connects a reserved attachment to a host.
func (a *API) update(c *rest.Call) (rest.Reply, error) {
	at, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Attachment struct {
			Connector map[string]any `json:"connector" v:"required"`
		} `json:"attachment" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	host, err := a.service.ConnectorHost(in.Attachment.Connector)
	if err != nil {
		return rest.Reply{}, err
	}
	return a.connect(c, outbox.With(c.Context(), c.Event("attachment", at.ID, at.ProjectID)), at.ID, host)
}

func (a *API) complete(c *rest.Call) (rest.Reply, error) {
	at, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	if at.Status != blockstorage.AttachAttaching && at.Status != blockstorage.AttachReserved {
		return rest.Reply{}, blockstorage.InvalidVolume("Volume attachment status must be attaching or reserved, but is %s.", at.Status)
	}
	if err := a.service.Complete(outbox.With(c.Context(), c.Event("attachment", at.ID, at.ProjectID)), at.ID, ""); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

func (a *API) remove(c *rest.Call) (rest.Reply, error) {
	at, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	if at.Connected && at.ServerID != "" && !c.Auth.HasRole("service") && !slices.Contains(c.Auth.ServiceRoles, "service") {
		return rest.Reply{}, fault.Conflictf("Detach volume from instance %s using the Compute API", at.ServerID).With("ConflictNovaUsingAttachment")
	}
	record := c.Event("attachment", at.ID, at.ProjectID)
	err = a.store.db.Write(c.Context(), func(tx *db.Tx) error {
		if err := a.volumes.Detached(c.Context(), tx, at.VolumeID, at.ID); err != nil {
			return err
		}
		return outbox.Write(c.Context(), tx, record)
	})
	if err != nil {
		return rest.Reply{}, err
	}
	left, err := a.store.Of(c.Context(), at.VolumeID)
	if err != nil {
		return rest.Reply{}, err
	}
	views := []any{}
	for _, l := range left[at.VolumeID] {
		views = append(views, a.brief.View(c, &l))
	}
	return rest.OK(map[string]any{"attachments": views})
}
