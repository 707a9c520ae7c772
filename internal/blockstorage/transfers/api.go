package transfers

import (
	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/microversion"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	ruleCreate = "volume:create_transfer"
	ruleAccept = "volume:accept_transfer"
	ruleDelete = "volume:delete_transfer"
	ruleGet    = "volume:get_transfer"
	ruleGetAll = "volume:get_all_transfers"
	ruleAll    = "context_is_admin"
)

// Rules are the policy rules of transfers, with upstream's names and defaults.
func Rules() []policy.Rule {
	return []policy.Rule{
		{Name: ruleCreate, Check: policy.ProjectMemberOrAdmin, Description: "Offer a volume."},
		{Name: ruleAccept, Check: policy.ProjectMemberOrAdmin, Description: "Accept a volume."},
		{Name: ruleDelete, Check: policy.ProjectMemberOrAdmin, Description: "Take an offer back."},
		{Name: ruleGet, Check: policy.ProjectReaderOrAdmin, Description: "Show an offer."},
		{Name: ruleGetAll, Check: policy.ProjectReaderOrAdmin, Description: "List offers."},
	}
}

// Routes are the operations of transfers, by their old and their new name.
func (s *Transfers) Routes() []rest.Route {
	a := api{s, brief(s.store), brief(s.store)}
	a.table.Fields = append(a.table.Fields, details...)
	var out []rest.Route
	for path, since := range map[string]microversion.Version{"/v3/os-volume-transfer": 0, "/v3/volume-transfers": blockstorage.TransfersAPI} {
		out = append(out,
			rest.Route{Method: "GET", Path: path, Rule: ruleGetAll, Since: since, Handle: func(c *rest.Call) (rest.Reply, error) { return a.list(c, &a.brief) }},
			rest.Route{Method: "GET", Path: path + "/detail", Rule: ruleGetAll, Since: since, Handle: func(c *rest.Call) (rest.Reply, error) { return a.list(c, &a.table) }},
			rest.Route{Method: "POST", Path: path, Rule: ruleCreate, Since: since, Audit: "create", Handle: a.create},
			rest.Route{Method: "GET", Path: path + "/{id}", Rule: ruleGet, Object: true, Since: since, Handle: a.table.Read},
			rest.Route{Method: "DELETE", Path: path + "/{id}", Rule: ruleDelete, Object: true, Since: since, Audit: "delete", Handle: a.remove},
			rest.Route{Method: "POST", Path: path + "/{id}/accept", Rule: ruleAccept, Since: since, Audit: "accept", Handle: a.accept})
	}
	return out
}

type api struct {
	transfers *Transfers
	table     rest.Resource[Transfer]
	brief     rest.Resource[Transfer]
}

func brief(s store) rest.Resource[Transfer] {
	return rest.Resource[Transfer]{
		One: "transfer", Many: "transfers", Show: ruleGet, Store: s, NotFound: notFound,
		ID:     func(t *Transfer) string { return t.ID },
		Target: func(t *Transfer) policy.Target { return policy.Target{"project_id": t.ProjectID} },
		Order:  []listing.Order{{Column: "created_at", Desc: true}},
		Fields: []rest.Field[Transfer]{
			{Name: "id", Column: "id", Get: func(t *Transfer) any { return t.ID }},
			{Name: "name", Column: "name", Get: func(t *Transfer) any { return t.Name }},
			{Name: "volume_id", Column: "volume_id", Get: func(t *Transfer) any { return t.VolumeID }},
			{Name: "links", With: func(c *rest.Call, t *Transfer) any {
				return []map[string]string{{"rel": "self", "href": c.Link("/v3/" + c.Auth.ProjectID + "/os-volume-transfer/" + t.ID)},
					{"rel": "bookmark", "href": c.Link("/" + c.Auth.ProjectID + "/os-volume-transfer/" + t.ID)}}
			}},
		},
		Filters: []rest.Filter{{Name: "all_tenants", Terms: func(*rest.Call, []string) ([]listing.Term, error) { return nil, nil }}},
	}
}

var details = []rest.Field[Transfer]{
	{Name: "created_at", Column: "created_at", Kind: rest.Moment, Get: func(t *Transfer) any { return blockstorage.Time(t.CreatedAt) }},
	{Name: "no_snapshots", Since: blockstorage.TransfersAPI, Get: func(t *Transfer) any { return t.NoSnapshots }},
	{Name: "source_project_id", Since: blockstorage.TransferParties, Get: func(t *Transfer) any { return t.ProjectID }},
	{Name: "destination_project_id", Since: blockstorage.TransferParties, Get: func(*Transfer) any { return nil }},
	{Name: "accepted", Since: blockstorage.TransferParties, Get: func(*Transfer) any { return false }},
}

func (a api) list(c *rest.Call, t *rest.Resource[Transfer]) (rest.Reply, error) {
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

func (a api) create(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Transfer struct {
			Volume      string              `json:"volume_id" v:"required,uuid"`
			Name        rest.Opt[string]    `json:"name" v:"max=255"`
			NoSnapshots rest.Opt[rest.Bool] `json:"no_snapshots" since:"3.55"`
		} `json:"transfer" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	v, err := a.transfers.volumes.Get(c.Context(), in.Transfer.Volume)
	if err == nil && !c.Allow(ruleGet, policy.Target{"project_id": v.ProjectID}) {
		err = blockstorage.VolumeNotFound(in.Transfer.Volume)
	}
	if err != nil {
		return rest.Reply{}, err
	}
	t := &Transfer{Name: in.Transfer.Name.V, VolumeID: v.ID, ProjectID: v.ProjectID, NoSnapshots: bool(in.Transfer.NoSnapshots.V)}
	key, err := a.transfers.offer(c.Context(), t, c.Event("transfer", "", v.ProjectID))
	if err != nil {
		return rest.Reply{}, err
	}
	view := a.table.View(c, t)
	view["auth_key"] = key
	return rest.Accepted(map[string]any{"transfer": view})
}

func (a api) remove(c *rest.Call) (rest.Reply, error) {
	t, err := a.table.Find(c, c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.transfers.withdraw(c.Context(), t, c.Event("transfer", t.ID, t.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

// accept may be asked by any project: knowing the id and the key is the right.
func (a api) accept(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Accept struct {
			Key string `json:"auth_key" v:"required,min=1,max=255"`
		} `json:"accept" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	t, err := a.transfers.store.Get(c.Context(), c.Var("id"))
	if err != nil {
		return rest.Reply{}, err
	}
	err = a.transfers.accept(c.Context(), t, in.Accept.Key, c.Auth.ProjectID, c.Auth.UserID, c.Event("transfer", t.ID, c.Auth.ProjectID))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(a.brief.Body(c, t))
}
