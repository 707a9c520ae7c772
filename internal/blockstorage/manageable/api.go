package manageable

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	ruleVolume    = "volume_extension:volume_manage"
	ruleVolumes   = "volume_extension:list_manageable"
	ruleSnapshot  = "snapshot_extension:snapshot_manage"
	ruleSnapshots = "snapshot_extension:list_manageable"
)

// Rules are the policy rules of this package, with upstream's names and defaults.
func Rules() []policy.Rule {
	return []policy.Rule{
		{Name: ruleVolume, Check: policy.Admin, Description: "Manage an existing volume."},
		{Name: ruleVolumes, Check: policy.Admin, Description: "List volumes available to manage."},
		{Name: ruleSnapshot, Check: policy.Admin, Description: "Manage an existing snapshot."},
		{Name: ruleSnapshots, Check: policy.Admin, Description: "List snapshots available to manage."},
	}
}

// Volumes makes volumes of relics and shows them.
type Volumes interface {
	Get(ctx context.Context, id string) (*blockstorage.Volume, error)
	Manage(ctx context.Context, v *blockstorage.Volume, typeWord string, viewer blockstorage.Viewer, record event.Record) (*blockstorage.Volume, error)
	// Hosted tells whether a host that keeps volumes has a name.
	Hosted(host string) bool
	ViewVolume(c *rest.Call, v *blockstorage.Volume) map[string]any
}

// Snapshots makes snapshots of relics and shows them.
type Snapshots interface {
	Manage(ctx context.Context, s *blockstorage.Snapshot, record event.Record) error
	ViewSnapshot(c *rest.Call, s *blockstorage.Snapshot) map[string]any
}

// API serves existing volumes and snapshots.
type API struct {
	store     *Store
	volumes   Volumes
	snapshots Snapshots
}

// New makes the API.
func New(s *Store, v Volumes, sn Snapshots) *API { return &API{s, v, sn} }

// Routes are the operations, by their old and their new name.
func (a *API) Routes() []rest.Route {
	since := blockstorage.Manageable
	routes := func(path, old string, list, manage string, kind string, do rest.Handler) []rest.Route {
		return []rest.Route{
			{Method: "GET", Path: path, Rule: list, Since: since, Handle: a.list(kind, false)},
			{Method: "GET", Path: path + "/detail", Rule: list, Since: since, Handle: a.list(kind, true)},
			{Method: "POST", Path: path, Rule: manage, Since: since, Audit: "manage", Handle: do},
			{Method: "GET", Path: old, Rule: list, Handle: a.list(kind, false), Extension: true},
			{Method: "GET", Path: old + "/detail", Rule: list, Handle: a.list(kind, true), Extension: true},
			{Method: "POST", Path: old, Rule: manage, Audit: "manage", Handle: do, Extension: true},
		}
	}
	return slices.Concat(
		routes("/v3/manageable_volumes", "/v3/os-volume-manage", ruleVolumes, ruleVolume, kindVolume, a.manageVolume),
		routes("/v3/manageable_snapshots", "/v3/os-snapshot-manage", ruleSnapshots, ruleSnapshot, kindSnapshot, a.manageSnapshot))
}

// named are the references of relics: what upstream's drivers call their
// files, which clients have in their defaults.
var named = map[string]string{kindVolume: "volume-", kindSnapshot: "_snapshot-"}

// relicOf reads a reference: {"source-name": "volume-ID"} or {"source-id": "ID"}.
func relicOf(ref any, kind string) (string, error) {
	members, ok := ref.(map[string]any)
	if !ok {
		return "", fault.Invalidf("Invalid input for field/attribute ref. It is not an object with 'source-name' or 'source-id'")
	}
	word, _ := members["source-id"].(string) // another type is no reference
	if name, ok := members["source-name"].(string); ok {
		word = strings.TrimPrefix(strings.TrimPrefix(name, named[kind]), "snapshot-")
	}
	if !id.Valid(word) {
		return "", fault.Invalidf("Invalid input received: Manage existing: the reference names nothing that was unmanaged.")
	}
	return word, nil
}

// relic finds what a reference names.
func (a *API) relic(ctx context.Context, ref any, kind string) (*blockstorage.Relic, error) {
	word, err := relicOf(ref, kind)
	if err != nil {
		return nil, err
	}
	r, err := a.store.Get(ctx, word)
	if fault.Is(err, fault.NotFound) || err == nil && r.Snapshot != (kind == kindSnapshot) {
		err = fault.Invalidf("Invalid input received: Failed to manage existing %s %s: it does not exist on the host.", kind, word)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// hostOf is the host that a request names: host@backend#pool.
func (a *API) hostOf(host, cluster string) (string, error) {
	name, _, _ := strings.Cut(host, "@")
	switch {
	case host != "" && cluster != "":
		return "", fault.Invalidf("Invalid input received: Host and cluster cannot be given together.")
	case host == "" && cluster == "":
		return "", fault.Invalidf("Invalid input received: Host field is missing.")
	case cluster != "":
		return "", fault.Unavailablef("Cluster '%s' not found", cluster)
	case !a.volumes.Hosted(name):
		return "", fault.Unavailablef("Host '%s' not found", host)
	}
	return name, nil
}

func (a *API) manageVolume(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Volume struct {
			Ref         any                         `json:"ref" v:"required"`
			Host        rest.Opt[string]            `json:"host" v:"max=255"`
			Cluster     rest.Opt[string]            `json:"cluster" since:"3.16" v:"max=255"`
			Name        rest.Opt[string]            `json:"name" v:"max=255"`
			Description rest.Opt[string]            `json:"description" v:"max=255"`
			Type        rest.Opt[string]            `json:"volume_type" v:"max=255"`
			Zone        rest.Opt[string]            `json:"availability_zone" v:"max=255"`
			Bootable    rest.Opt[rest.Bool]         `json:"bootable"`
			Metadata    rest.Opt[map[string]string] `json:"metadata"`
		} `json:"volume" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	host, err := a.hostOf(in.Volume.Host.V, in.Volume.Cluster.V)
	if err != nil {
		return rest.Reply{}, err
	}
	r, err := a.relic(c.Context(), in.Volume.Ref, kindVolume)
	if err == nil && r.Host != host {
		err = fault.Invalidf("Invalid input received: Failed to manage existing volume %s: it is not on host %s.", r.ID, in.Volume.Host.V)
	}
	if err != nil {
		return rest.Reply{}, err
	}
	v := &blockstorage.Volume{ID: id.New(), ProjectID: c.Auth.ProjectID, UserID: c.Auth.UserID, Name: strings.TrimSpace(in.Volume.Name.V), NoName: in.Volume.Name.V == "",
		Description: strings.TrimSpace(in.Volume.Description.V), NoDescribed: in.Volume.Description.V == "", Zone: in.Volume.Zone.V,
		Bootable: bool(in.Volume.Bootable.V), Metadata: in.Volume.Metadata.V, Source: blockstorage.Source{RelicID: r.ID}}
	viewer := blockstorage.Viewer{ProjectID: c.Auth.ProjectID, UserID: c.Auth.UserID, Admin: true}
	v, err = a.volumes.Manage(c.Context(), v, in.Volume.Type.V, viewer, c.Event("volume", v.ID, v.ProjectID))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(map[string]any{"volume": a.volumes.ViewVolume(c, v)})
}

func (a *API) manageSnapshot(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Snapshot struct {
			Ref         any                         `json:"ref" v:"required"`
			Volume      string                      `json:"volume_id" v:"required,uuid"`
			Name        rest.Opt[string]            `json:"name" v:"max=255"`
			Description rest.Opt[string]            `json:"description" v:"max=255"`
			Metadata    rest.Opt[map[string]string] `json:"metadata"`
		} `json:"snapshot" v:"required"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if err := blockstorage.CheckMetadata(in.Snapshot.Metadata.V); err != nil {
		return rest.Reply{}, err
	}
	v, err := a.volumes.Get(c.Context(), in.Snapshot.Volume)
	if err != nil {
		return rest.Reply{}, err
	}
	r, err := a.relic(c.Context(), in.Snapshot.Ref, kindSnapshot)
	if err == nil && (r.Host != v.Host || r.VolumeID != v.ID) {
		err = fault.Invalidf("Invalid input received: Failed to manage existing snapshot %s: it is not of volume %s.", r.ID, v.ID)
	}
	if err != nil {
		return rest.Reply{}, err
	}
	sn := &blockstorage.Snapshot{ID: id.New(), ProjectID: v.ProjectID, UserID: c.Auth.UserID, VolumeID: v.ID, Name: strings.TrimSpace(in.Snapshot.Name.V),
		NoName: in.Snapshot.Name.V == "", Description: in.Snapshot.Description.V, NoDescribed: in.Snapshot.Description.V == "",
		Metadata: in.Snapshot.Metadata.V, Relic: r.ID, SizeGiB: r.SizeGiB}
	if err := a.snapshots.Manage(c.Context(), sn, c.Event("snapshot", sn.ID, sn.ProjectID)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(map[string]any{"snapshot": a.snapshots.ViewSnapshot(c, sn)})
}

// list shows what a host has, managed or not.
func (a *API) list(kind string, detail bool) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		q := c.Values()
		cluster := ""
		if c.At(blockstorage.ManageCluster) {
			cluster = q.Get("cluster")
		}
		host, err := a.hostOf(q.Get("host"), cluster)
		if err != nil {
			return rest.Reply{}, err
		}
		all, err := a.store.managed(c.Context(), host, kind)
		if err != nil {
			return rest.Reply{}, err
		}
		relics, err := a.store.on(c.Context(), host, kind)
		if err != nil {
			return rest.Reply{}, err
		}
		for _, r := range relics {
			all = append(all, thing{id: r.ID, volume: r.VolumeID, size: r.SizeGiB})
		}
		if all, err = page(all, q.Get("sort"), q.Get("sort_key"), q.Get("sort_dir"), q.Get("limit"), q.Get("offset")); err != nil {
			return rest.Reply{}, err
		}
		views := make([]map[string]any, 0, len(all))
		for _, t := range all {
			views = append(views, t.view(kind, detail))
		}
		return rest.OK(map[string]any{"manageable-" + kind + "s": views})
	}
}

func (t thing) view(kind string, detail bool) map[string]any {
	out := map[string]any{"reference": map[string]string{"source-name": named[kind] + t.id}, "size": t.size, "safe_to_manage": !t.managed}
	if kind == kindSnapshot {
		out["source_reference"] = map[string]string{"source-name": named[kindVolume] + t.volume}
	}
	if detail {
		out["reason_not_safe"], out["cinder_id"], out["extra_info"] = nil, nil, nil
		if t.managed {
			out["reason_not_safe"], out["cinder_id"] = "already managed", t.id
		}
	}
	return out
}

// page sorts and cuts a list as the query says.
func page(all []thing, sort, key, dir, limit, offset string) ([]thing, error) {
	if sort != "" {
		key, dir, _ = strings.Cut(sort, ":")
	}
	by := func(x, y thing) int { return cmp.Compare(x.id, y.id) }
	switch key {
	case "size":
		by = func(x, y thing) int { return cmp.Or(cmp.Compare(x.size, y.size), cmp.Compare(x.id, y.id)) }
	case "", "reference":
	default:
		return nil, fault.Invalidf("Invalid sort keys passed: %s", key)
	}
	switch dir {
	case "", "desc":
		asc := by
		by = func(x, y thing) int { return asc(y, x) }
	case "asc":
	default:
		return nil, fault.Invalidf("Invalid sort dirs passed: %s", dir)
	}
	slices.SortFunc(all, by)
	skip, err := number("offset", offset, 0)
	if err != nil {
		return nil, err
	}
	most, err := number("limit", limit, len(all))
	if err != nil {
		return nil, err
	}
	all = all[min(skip, len(all)):]
	return all[:min(most, len(all))], nil
}

func number(name, text string, other int) (int, error) {
	if text == "" {
		return other, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fault.Invalidf("Invalid input for query parameters %s. Value: %q. It is not a non-negative integer", name, text)
	}
	return n, nil
}
