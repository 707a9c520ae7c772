package servers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/beside"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// view is a server with what its details show besides.
type view struct {
	*Server
	s     *Servers // opens the user's data
	disks []*Disk
	cards []network.Interface
	hash  string // hostID, of the lists that have it already
}

func (v *view) hostID() string {
	if v.hash != "" {
		return v.hash
	}
	return hostID(v.ProjectID, v.Host)
}

// views loads servers for the API; detail loads their disks and addresses too.
type views struct {
	s      *Servers
	detail bool
}

// List loads a page of servers. Of their disks only volumes show there.
func (v views) List(ctx context.Context, q listing.Query) ([]*view, error) {
	return v.load(ctx, q, volumesOf)
}

func (v views) load(ctx context.Context, q listing.Query, disksOf func(context.Context, db.Querier, ...string) (map[string][]*Disk, error)) ([]*view, error) {
	all, err := v.s.store.List(ctx, q)
	if err != nil {
		return nil, err
	}
	out, ids := make([]*view, len(all)), make([]string, len(all))
	for i, one := range all {
		out[i], ids[i] = &view{Server: one, s: v.s}, one.ID
	}
	if !v.detail || len(all) == 0 {
		return out, nil
	}
	var disks map[string][]*Disk
	var cards map[string][]network.Interface
	err = beside.Do(
		func() (err error) { disks, err = disksOf(ctx, v.s.DB, ids...); return err },
		func() (err error) { cards, err = v.s.Networks.Shown(ctx, ids...); return err })
	hashes := hostIDs{}
	for _, one := range out {
		one.disks, one.cards, one.hash = disks[one.ID], cards[one.ID], hashes.of(one.ProjectID, one.Host)
	}
	return out, err
}

// hostIDs are those of a list, each worked out once, by project and host.
type hostIDs map[[2]string]string

func (h hostIDs) of(project, host string) string {
	key := [2]string{project, host}
	known, ok := h[key]
	if !ok {
		known = hostID(project, host)
		h[key] = known
	}
	return known
}

// Get loads one server.
func (v views) Get(ctx context.Context, id string) (*view, error) {
	out, err := v.load(ctx, listing.Query{Where: []listing.Term{eq("id", id)}}, disksOf)
	if err == nil && len(out) == 0 {
		err = notFound(id)
	}
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

func target(s *compute.Server) policy.Target {
	return policy.Target{"project_id": s.ProjectID, "tenant_id": s.ProjectID, "user_id": s.UserID}
}

func (s *Servers) resource(detail bool) *rest.Resource[view] {
	all := ruleIndexAll
	if detail {
		all = ruleDetailAll
	}
	r := &rest.Resource[view]{One: "server", Many: "servers", Apart: true, Show: ruleShow, All: all, AllKeys: []string{"all_tenants"}, Owner: "project_id",
		ID: func(v *view) string { return v.ID }, Target: func(v *view) policy.Target { return target(&v.Server.Server) },
		Store: views{s, detail}, Order: []listing.Order{{Column: "created_at", Desc: true}}, NotFound: notFound,
		Fields: []rest.Field[view]{
			{Name: "id", Text: func(v *view) string { return v.ID }},
			{Name: "name", Text: func(v *view) string { return v.Name }},
			{Name: "links", With: links},
		}, Filters: s.filters()}
	if detail {
		r.Fields = append(r.Fields, s.detailFields()...)
		r.Fields = append(r.Fields, extendedFields()...)
	}
	r.Fields = append(r.Fields, sortFields()...)
	return r
}

func links(c *rest.Call, v *view) any {
	return []rest.Link{{Rel: "self", Href: c.LinkTo("/v2.1/servers/", v.ID)}, {Rel: "bookmark", Href: c.LinkTo("/servers/", v.ID)}}
}

var progressing = []compute.Status{"ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"}

func (s *Servers) detailFields() []rest.Field[view] {
	return []rest.Field[view]{
		{Name: "status", Text: func(v *view) string { return string(v.Status) }},
		{Name: "tenant_id", Text: func(v *view) string { return v.ProjectID }},
		{Name: "user_id", Text: func(v *view) string { return v.UserID }},
		{Name: "metadata", Get: func(v *view) any { return v.Metadata }},
		{Name: "hostId", Text: (*view).hostID},
		{Name: "image", With: imageView},
		{Name: "flavor", Until: compute.EmbeddedFlavor, With: func(c *rest.Call, v *view) any {
			return mark{v.Flavor.ID, c.LinkTo("/flavors/", v.Flavor.ID)}
		}},
		{Name: "flavor", Since: compute.EmbeddedFlavor, With: embeddedFlavor},
		{Name: "created", Text: func(v *view) string { return wireTime(v.CreatedAt) }},
		{Name: "updated", Text: func(v *view) string { return wireTime(v.UpdatedAt) }},
		{Name: "addresses", Get: func(v *view) any { return wires(v.cards) }},
		{Name: "accessIPv4", Text: func(v *view) string { return v.AccessIPv4 }},
		{Name: "accessIPv6", Text: func(v *view) string { return v.AccessIPv6 }},
		{Name: "progress", Get: func(v *view) any { return v.Progress }, Omit: func(v *view) bool { return !slices.Contains(progressing, v.Status) }},
		{Name: "fault", With: faultView, Omit: func(v *view) bool {
			return v.Fault == nil || (v.Status != compute.StatusError && v.Status != compute.StatusDeleted)
		}},
		{Name: "OS-DCF:diskConfig", Text: func(v *view) string { return v.DiskConfig }},
		{Name: "locked", Since: compute.ServerLocked, Get: func(v *view) any { return v.Locked }},
		{Name: "locked_reason", Since: compute.LockReason, Get: func(v *view) any { return orNull(v.LockReason) }},
		{Name: "description", Since: compute.ServerDescription, Get: func(v *view) any {
			if !v.Described {
				return nil
			}
			return v.Description
		}},
		{Name: "tags", Since: compute.ServerTags, Get: func(v *view) any { return append([]string{}, v.Tags...) }},
		{Name: "trusted_image_certificates", Since: compute.TrustedCertificates, Get: func(v *view) any {
			if v.TrustedCerts == nil {
				return nil
			}
			return v.TrustedCerts
		}},
		{Name: "pinned_availability_zone", Since: compute.PinnedZoneShown, Get: func(v *view) any { return orNull(v.PinnedZone) }},
		{Name: "host_status", Since: compute.HostStatus, Rule: ruleHostStatus, Get: func(v *view) any {
			switch {
			case v.Host == "":
				return ""
			case s.Agents.Alive(v.Host):
				return "UP"
			}
			return "DOWN"
		}},
	}
}

// extendedFields are those that answers to PUT lack before 2.75.
func extendedFields() []rest.Field[view] {
	admin := func(name string, get func(*view) any) rest.Field[view] {
		return rest.Field[view]{Name: "OS-EXT-SRV-ATTR:" + name, Rule: ruleExtended, Get: get}
	}
	since := func(f rest.Field[view]) rest.Field[view] { f.Since = compute.ExtendedAttributes; return f }
	hostname := since(admin("hostname", func(v *view) any { return v.Hostname }))
	hostname.Until = compute.ChosenHostname
	return []rest.Field[view]{
		{Name: "key_name", Get: func(v *view) any { return orNull(v.KeyName) }},
		{Name: "config_drive", Text: func(v *view) string {
			if v.ConfigDrive {
				return "True"
			}
			return ""
		}},
		{Name: "OS-EXT-AZ:availability_zone", Text: func(v *view) string {
			if v.Zone != "" {
				return v.Zone
			}
			return v.PinnedZone
		}},
		{Name: "OS-EXT-STS:task_state", Get: func(v *view) any { return orNull(string(v.Task)) }},
		{Name: "OS-EXT-STS:vm_state", Text: func(v *view) string { return string(v.VM) }},
		{Name: "OS-EXT-STS:power_state", Get: func(v *view) any { return int(v.Power) }},
		{Name: "OS-SRV-USG:launched_at", Get: func(v *view) any { return usageTime(v.LaunchedAt) }},
		{Name: "OS-SRV-USG:terminated_at", Get: func(v *view) any { return usageTime(v.TerminatedAt) }},
		{Name: "security_groups", Get: func(v *view) any { return guards(v.cards) }, Omit: func(v *view) bool { return guards(v.cards).none() }},
		{Name: "os-extended-volumes:volumes_attached", With: volumesAttached},
		admin("host", func(v *view) any { return orNull(v.Host) }),
		admin("instance_name", func(v *view) any { return instanceName(v.Serial) }),
		admin("hypervisor_hostname", func(v *view) any { return orNull(v.HypervisorName) }),
		hostname,
		{Name: "OS-EXT-SRV-ATTR:hostname", Since: compute.ChosenHostname, Get: func(v *view) any { return v.Hostname }},
		since(admin("reservation_id", func(v *view) any { return v.ReservationID })),
		since(admin("launch_index", func(v *view) any { return v.LaunchIndex })),
		since(admin("kernel_id", func(*view) any { return "" })),
		since(admin("ramdisk_id", func(*view) any { return "" })),
		since(admin("root_device_name", func(v *view) any { return v.RootDevice })),
		since(admin("user_data", func(v *view) any { return orNull(v.s.userData(v.Server)) })),
	}
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func usageTime(us int64) any {
	if us == 0 {
		return nil
	}
	return clock.FromMicros(us).Format("2006-01-02T15:04:05.000000")
}

// hostID tells a project which of its servers share a host, and nothing else.
func hostID(project, host string) string {
	if host == "" {
		return ""
	}
	sum := sha256.Sum224([]byte(project + host))
	return hex.EncodeToString(sum[:])
}

func imageView(c *rest.Call, v *view) any {
	if v.ImageID == "" {
		return ""
	}
	return mark{v.ImageID, c.LinkTo("/images/", v.ImageID)}
}

func embeddedFlavor(c *rest.Call, v *view) any {
	f := v.Flavor
	out := map[string]any{"vcpus": f.VCPUs, "ram": f.MemoryMiB, "disk": f.RootGiB, "ephemeral": f.EphemGiB, "swap": f.SwapMiB, "original_name": f.Name}
	if c.Allow(ruleSpecs, target(&v.Server.Server)) {
		specs := f.ExtraSpecs
		if specs == nil {
			specs = map[string]string{}
		}
		out["extra_specs"] = specs
	}
	return out
}

func faultView(c *rest.Call, v *view) any {
	out := map[string]any{"code": v.Fault.Code, "message": v.Fault.Message, "created": wireTime(v.Fault.CreatedAt)}
	if v.Fault.Details != "" && c.Allow(ruleExtended, target(&v.Server.Server)) {
		out["details"] = v.Fault.Details
	}
	return out
}

func volumesAttached(c *rest.Call, v *view) any {
	out := []map[string]any{}
	for _, d := range v.disks {
		if d.VolumeID == "" {
			continue
		}
		entry := map[string]any{"id": d.VolumeID}
		if c.At(compute.ExtendedAttributes) {
			entry["delete_on_termination"] = d.DeleteOnTermination
		}
		out = append(out, entry)
	}
	return out
}

// addresses lists a server's addresses by network name.
func addresses(cards []network.Interface) map[string][]map[string]any {
	out := map[string][]map[string]any{}
	for _, card := range cards {
		for _, a := range card.Addresses {
			out[card.NetworkName] = append(out[card.NetworkName], map[string]any{"addr": a.Address, "version": a.Version})
		}
	}
	return out
}

// sortFields are keys to sort by, and filters for administrators.
func sortFields() []rest.Field[view] {
	var out []rest.Field[view]
	for name, column := range map[string]string{"access_ip_v4": "access_ip_v4", "access_ip_v6": "access_ip_v6", "availability_zone": "zone",
		"created_at": "created_at", "display_description": "description", "display_name": "name", "host": "host", "hostname": "hostname",
		"image_ref": "image_id", "instance_type_id": "flavor_id", "key_name": "key_name", "launch_index": "launch_index",
		"launched_at": "launched_at", "node": "host", "progress": "progress", "project_id": "project_id", "task_state": "task_state",
		"updated_at": "updated_at", "user_id": "user_id", "uuid": "id", "vm_state": "vm_state", "reservation_id": "reservation_id"} {
		out = append(out, rest.Field[view]{Name: name, Column: column, Hidden: true, NoFilter: name != "reservation_id"})
	}
	for _, name := range []string{"config_drive", "locked"} {
		out = append(out, rest.Field[view]{Name: name, Column: name, Hidden: true, NoFilter: true, Kind: rest.Flag})
	}
	return append(out, rest.Field[view]{Name: "power_state", Column: "power_state", Hidden: true, NoFilter: true, Kind: rest.Number})
}

// filters are the query parameters of lists.
func (s *Servers) filters() []rest.Filter {
	one := func(name, column string) rest.Filter {
		return rest.Filter{Name: name, Terms: func(_ *rest.Call, v []string) ([]listing.Term, error) {
			return []listing.Term{eq(column, v[len(v)-1])}, nil
		}}
	}
	admin := func(name, column string) rest.Filter {
		f := one(name, column)
		f.Rule = ruleAllFilters
		return f
	}
	out := []rest.Filter{
		{Name: "name", Terms: nameFilter}, {Name: "display_name", Terms: nameFilter}, {Name: "status", Terms: statusFilter},
		{Name: "changes-since", Terms: timeFilter(listing.MoreEq)}, {Name: "changes-before", Terms: timeFilter(listing.LessEq)},
		{Name: "ip", Terms: s.addressFilter}, {Name: "ip6", Terms: s.addressFilter},
		{Name: "tags", Terms: tagFilter(colTagsAll)}, {Name: "tags-any", Terms: tagFilter(colTagsAny)},
		{Name: "not-tags", Terms: tagFilter(colNotTagsAll)}, {Name: "not-tags-any", Terms: tagFilter(colNotTagsAny)},
		{Name: "flavor", Terms: lastSegment("flavor_id")}, {Name: "image", Terms: lastSegment("image_id")},
		{Name: "locked", Terms: flagFilter("locked")}, {Name: "config_drive", Terms: flagFilter("config_drive")},
		one("availability_zone", "zone"), one("key_name", "key_name"), one("user_id", "user_id"), one("vm_state", "vm_state"),
		one("task_state", "task_state"), one("hostname", "hostname"), one("description", "description"), one("uuid", "id"),
		one("access_ip_v4", "access_ip_v4"), one("access_ip_v6", "access_ip_v6"),
		admin("host", "host"), admin("node", "host"), admin("project_id", "project_id"), admin("tenant_id", "project_id"),
		{Name: "deleted", Rule: ruleAllFilters, Terms: deletedFilter},
	}
	for _, name := range []string{"power_state", "launch_index", "progress"} {
		out = append(out, rest.Filter{Name: name, Terms: numberFilter(name)})
	}
	return out
}

func nameFilter(_ *rest.Call, v []string) ([]listing.Term, error) {
	text := v[len(v)-1]
	if _, err := regexp.Compile(text); err != nil {
		return nil, fault.Invalidf("Invalid filter value [%s]: it is not a regular expression", text)
	}
	return []listing.Term{{Column: "name", Op: listing.Matches, Values: []any{text}}}, nil
}

func statusFilter(_ *rest.Call, v []string) ([]listing.Term, error) {
	t := listing.Term{Column: "status", Op: listing.In}
	for _, s := range v {
		t.Values = append(t.Values, strings.ToUpper(s))
	}
	return []listing.Term{t}, nil
}

func timeFilter(op listing.Op) func(*rest.Call, []string) ([]listing.Term, error) {
	return func(_ *rest.Call, v []string) ([]listing.Term, error) {
		at, err := rest.ParseTime("changes-since", v[len(v)-1])
		return []listing.Term{{Column: "updated_at", Op: op, Values: []any{at}}}, err
	}
}

func tagFilter(column string) func(*rest.Call, []string) ([]listing.Term, error) {
	return func(c *rest.Call, v []string) ([]listing.Term, error) {
		if !c.At(compute.ServerTags) {
			return nil, nil
		}
		t := listing.Term{Column: column, Op: listing.In}
		for tag := range strings.SplitSeq(v[len(v)-1], ",") {
			t.Values = append(t.Values, tag)
		}
		return []listing.Term{t}, nil
	}
}

// lastSegment reads an id, or an address that ends with it.
func lastSegment(column string) func(*rest.Call, []string) ([]listing.Term, error) {
	return func(_ *rest.Call, v []string) ([]listing.Term, error) {
		text := v[len(v)-1]
		return []listing.Term{eq(column, text[strings.LastIndex(text, "/")+1:])}, nil
	}
}

func flagFilter(column string) func(*rest.Call, []string) ([]listing.Term, error) {
	return func(_ *rest.Call, v []string) ([]listing.Term, error) {
		b, ok := rest.ParseBool(v[len(v)-1])
		if !ok {
			return nil, fault.Invalidf("Invalid value for %s: %s", column, v[len(v)-1])
		}
		return []listing.Term{eq(column, b)}, nil
	}
}

func numberFilter(column string) func(*rest.Call, []string) ([]listing.Term, error) {
	return func(_ *rest.Call, v []string) ([]listing.Term, error) {
		var n rest.Int
		if err := n.UnmarshalJSON([]byte(v[len(v)-1])); err != nil {
			return nil, fault.Invalidf("Invalid value for %s: %s", column, v[len(v)-1])
		}
		return []listing.Term{eq(column, int64(n))}, nil
	}
}

// deletedFilter answers for servers that are gone: there are no rows of them.
func deletedFilter(_ *rest.Call, v []string) ([]listing.Term, error) {
	if gone, ok := rest.ParseBool(v[len(v)-1]); ok && gone {
		return []listing.Term{{Column: "id", Op: listing.In}}, nil
	}
	return nil, nil
}

// addressFilter matches fixed addresses by a regular expression.
func (s *Servers) addressFilter(c *rest.Call, v []string) ([]listing.Term, error) {
	text := v[len(v)-1]
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fault.Invalidf("Invalid filter value [%s]: it is not a regular expression", text)
	}
	ids, err := addressed(c.Context(), s.DB, re.MatchString) // a whole address is an expression too, and matches longer ones
	return []listing.Term{{Column: "id", Op: listing.In, Values: ids}}, err
}
