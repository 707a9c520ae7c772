package proxies

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const ruleVolumes = "os_compute_api:os-volumes:"

// VolumeRules are the policy rules of the proxies to volumes and snapshots.
func VolumeRules() []policy.Rule {
	var out []policy.Rule
	add := func(check string, names ...string) {
		for _, n := range names {
			out = append(out, policy.Rule{Name: ruleVolumes + n, Check: check, Scopes: []string{"project"}, Description: "Volumes, by way of Nova."})
		}
	}
	add(policy.ProjectReaderOrAdmin, "list", "detail", "show", "snapshots:list", "snapshots:detail", "snapshots:show")
	add(policy.ProjectMemberOrAdmin, "create", "delete", "snapshots:create", "snapshots:delete")
	return out
}

// VolumeRoutes are the operations of volumes and their snapshots, until 2.36.
func (n *Networks) VolumeRoutes() []rest.Route {
	a := api{networks: n}
	const vol, snap = "/v2.1/os-volumes", "/v2.1/os-snapshots"
	volumes := stored{"volumes", "volume", "Volume %s could not be found.", volumeView}
	snapshots := stored{"snapshots", "snapshot", "Snapshot %s could not be found.", snapshotView}
	out := []rest.Route{
		{Method: "GET", Path: vol, Rule: ruleVolumes + "list", Handle: a.listStored(volumes)},
		{Method: "GET", Path: vol + "/detail", Rule: ruleVolumes + "detail", Handle: a.listStored(volumes)},
		{Method: "POST", Path: vol, Rule: ruleVolumes + "create", Audit: "create", Handle: a.createVolume(volumes)},
		{Method: "GET", Path: vol + "/{id}", Rule: ruleVolumes + "show", Handle: a.showStored(volumes)},
		{Method: "DELETE", Path: vol + "/{id}", Rule: ruleVolumes + "delete", Audit: "delete", Handle: a.deleteStored(volumes)},
		{Method: "GET", Path: snap, Rule: ruleVolumes + "snapshots:list", Handle: a.listStored(snapshots)},
		{Method: "GET", Path: snap + "/detail", Rule: ruleVolumes + "snapshots:detail", Handle: a.listStored(snapshots)},
		{Method: "POST", Path: snap, Rule: ruleVolumes + "snapshots:create", Audit: "create", Handle: a.createSnapshot(snapshots)},
		{Method: "GET", Path: snap + "/{id}", Rule: ruleVolumes + "snapshots:show", Handle: a.showStored(snapshots)},
		{Method: "DELETE", Path: snap + "/{id}", Rule: ruleVolumes + "snapshots:delete", Audit: "delete", Handle: a.deleteStored(snapshots)},
	}
	for i := range out {
		out[i].Until = compute.NoProxies
	}
	return out
}

// stored is a kind of thing that Cinder keeps, as Nova shows it.
type stored struct {
	many, one, missing string
	view               func(map[string]any) map[string]any
}

func volumeView(v map[string]any) map[string]any {
	out := map[string]any{"id": v["id"], "status": v["status"], "size": v["size"], "availabilityZone": v["availability_zone"], "createdAt": v["created_at"],
		"displayName": v["name"], "displayDescription": v["description"], "volumeType": v["volume_type"], "snapshotId": v["snapshot_id"],
		"metadata": v["metadata"]}
	attachments := []map[string]any{}
	list, _ := v["attachments"].([]any) // absent: none
	for _, x := range list {
		if at, ok := x.(map[string]any); ok {
			attachments = append(attachments, map[string]any{"id": v["id"], "volumeId": v["id"], "serverId": at["server_id"], "device": at["device"]})
		}
	}
	if len(attachments) == 0 {
		attachments = append(attachments, map[string]any{})
	}
	out["attachments"] = attachments
	return out
}

func snapshotView(v map[string]any) map[string]any {
	return map[string]any{"id": v["id"], "volumeId": v["volume_id"], "status": v["status"], "size": v["size"], "createdAt": v["created_at"],
		"displayName": v["name"], "displayDescription": v["description"]}
}

// cinder sends a request to block storage; what it does not find is told in
// Nova's words.
func (a api) cinder(c *rest.Call, k stored, method, path string, query url.Values, in, out any) error {
	err := a.networks.send(c.Context(), token(c), method, "/volume/v3/"+k.many+path, query, in, out)
	if fault.Is(err, fault.NotFound) && c.Var("id") != "" {
		err = fault.NotFoundf(k.missing, c.Var("id"))
	}
	return err
}

func (a api) listStored(k stored) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		if path, _, _ := strings.Cut(c.Request.RequestURI, "?"); strings.HasSuffix(path, "/") {
			return rest.Reply{}, fault.NotFoundf("The resource could not be found.") // one without an id
		}
		query := url.Values{}
		for _, key := range []string{"limit", "offset"} {
			if v := c.Values().Get(key); v != "" {
				query.Set(key, v)
			}
		}
		var found map[string]any
		if err := a.cinder(c, k, http.MethodGet, "/detail", query, nil, &found); err != nil {
			return rest.Reply{}, err
		}
		out := []map[string]any{}
		list, _ := found[k.many].([]any) // absent: none
		for _, x := range list {
			if v, ok := x.(map[string]any); ok {
				out = append(out, k.view(v))
			}
		}
		return rest.OK(map[string]any{k.many: out})
	}
}

func (a api) showStored(k stored) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		var found map[string]map[string]any
		if err := a.cinder(c, k, http.MethodGet, "/"+url.PathEscape(c.Var("id")), nil, nil, &found); err != nil {
			return rest.Reply{}, err
		}
		return rest.OK(map[string]any{k.one: k.view(found[k.one])})
	}
}

func (a api) deleteStored(k stored) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		if err := a.cinder(c, k, http.MethodDelete, "/"+url.PathEscape(c.Var("id")), nil, nil, nil); err != nil {
			return rest.Reply{}, err
		}
		return rest.Accepted(nil)
	}
}

// make sends a new thing on and answers it.
func (a api) make(c *rest.Call, k stored, body map[string]any) (rest.Reply, error) {
	var made map[string]map[string]any
	if err := a.cinder(c, k, http.MethodPost, "", nil, map[string]any{k.one: body}, &made); err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{k.one: k.view(made[k.one])})
}

func (a api) createVolume(k stored) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		var in struct {
			Volume struct {
				Name        rest.Opt[string]  `json:"display_name" v:"max=255"`
				Description rest.Opt[string]  `json:"display_description"`
				Type        rest.Opt[string]  `json:"volume_type"`
				Metadata    map[string]string `json:"metadata"`
				Snapshot    rest.Opt[string]  `json:"snapshot_id"`
				Zone        rest.Opt[string]  `json:"availability_zone"`
				Size        *rest.Int         `json:"size" v:"required,min=1"`
			} `json:"volume" v:"required"`
		}
		if err := c.Decode(&in); err != nil {
			return rest.Reply{}, err
		}
		v := in.Volume
		if v.Size == nil || *v.Size < 1 {
			return rest.Reply{}, fault.Invalidf("Invalid input for field/attribute size.")
		}
		body := map[string]any{"size": int64(*v.Size)}
		for key, text := range map[string]rest.Opt[string]{"name": v.Name, "description": v.Description, "volume_type": v.Type, "snapshot_id": v.Snapshot, "availability_zone": v.Zone} {
			if text.V != "" {
				body[key] = text.V
			}
		}
		if v.Metadata != nil {
			body["metadata"] = v.Metadata
		}
		return a.make(c, k, body)
	}
}

func (a api) createSnapshot(k stored) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		var in struct {
			Snapshot struct {
				Volume      string           `json:"volume_id" v:"required"`
				Force       rest.Bool        `json:"force"`
				Name        rest.Opt[string] `json:"display_name" v:"max=255"`
				Description rest.Opt[string] `json:"display_description"`
			} `json:"snapshot" v:"required"`
		}
		if err := c.Decode(&in); err != nil {
			return rest.Reply{}, err
		}
		s := in.Snapshot
		return a.make(c, k, map[string]any{"volume_id": s.Volume, "force": bool(s.Force), "name": s.Name.V, "description": s.Description.V})
	}
}
