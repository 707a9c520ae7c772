package servers

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

func noNetwork(serverID string) error {
	return fault.NotFoundf("Network name for instance %s could not be found.", serverID)
}

type createBody struct {
	Server createServer `json:"server" v:"required"`
	Hints  hints        `json:"os:scheduler_hints"`
	Hints2 hints        `json:"OS-SCH-HNT:scheduler_hints"`
}

type createServer struct {
	Name        string             `json:"name" v:"required,name,min=1,max=255"`
	FlavorRef   any                `json:"flavorRef" v:"required"`
	ImageRef    string             `json:"imageRef"`
	AdminPass   string             `json:"adminPass"`
	Metadata    map[string]string  `json:"metadata"`
	DiskConfig  string             `json:"OS-DCF:diskConfig" v:"enum=AUTO|MANUAL"`
	AccessIPv4  rest.Opt[string]   `json:"accessIPv4"`
	AccessIPv6  rest.Opt[string]   `json:"accessIPv6"`
	Files       []personality      `json:"personality" until:"2.57"`
	Groups      []groupName        `json:"security_groups"`
	UserData    rest.Opt[string]   `json:"user_data" v:"max=65535"`
	Networks    json.RawMessage    `json:"networks"`
	Zone        rest.Opt[string]   `json:"availability_zone"`
	Mapping     []mapping          `json:"block_device_mapping_v2"`
	OldMapping  []map[string]any   `json:"block_device_mapping"`
	KeyName     rest.Opt[string]   `json:"key_name"`
	MinCount    *rest.Int          `json:"min_count" v:"min=1"`
	MaxCount    *rest.Int          `json:"max_count" v:"min=1"`
	Reservation *rest.Bool         `json:"return_reservation_id"`
	ConfigDrive rest.Opt[any]      `json:"config_drive"`
	Description rest.Opt[string]   `json:"description" since:"2.19" v:"max=255"`
	Tags        []string           `json:"tags" since:"2.52" v:"max=50"`
	Trusted     rest.Opt[[]string] `json:"trusted_image_certificates" since:"2.63"`
	Host        string             `json:"host" since:"2.74"`
	Hypervisor  string             `json:"hypervisor_hostname" since:"2.74"`
	Hostname    string             `json:"hostname" since:"2.90" v:"min=2,max=255"`
}

type personality struct {
	Path     string `json:"path" v:"required,max=255"`
	Contents string `json:"contents" v:"required"`
}

type groupName struct {
	Name string `json:"name" v:"min=1,max=255"`
}

// mapping is one entry of block_device_mapping_v2.
type mapping struct {
	Source      string           `json:"source_type" v:"enum=volume|image|snapshot|blank"`
	UUID        rest.Opt[string] `json:"uuid"`
	VolumeID    rest.Opt[string] `json:"volume_id"`
	SnapshotID  rest.Opt[string] `json:"snapshot_id"`
	ImageID     rest.Opt[string] `json:"image_id"`
	Destination string           `json:"destination_type" v:"enum=local|volume"`
	BootIndex   rest.Opt[any]    `json:"boot_index"`
	DeviceName  rest.Opt[string] `json:"device_name"`
	Delete      *rest.Bool       `json:"delete_on_termination"`
	Size        rest.Opt[any]    `json:"volume_size"`
	GuestFormat rest.Opt[string] `json:"guest_format"`
	Bus         rest.Opt[string] `json:"disk_bus"`
	DeviceType  rest.Opt[string] `json:"device_type"`
	NoDevice    any              `json:"no_device"`
	Tag         string           `json:"tag" since:"2.32" v:"min=1,max=60"`
	VolumeType  rest.Opt[string] `json:"volume_type" since:"2.67"`
}

// hints are the scheduler's hints; unknown ones are accepted and ignored, as upstream does.
type hints struct {
	Group      any `json:"group"`
	Same       any `json:"same_host"`
	Different  any `json:"different_host"`
	Query      any `json:"query"`
	Target     any `json:"target_cell"`
	Different2 any `json:"different_cell"`
	BuildNear  any `json:"build_near_host_ip"`
	CIDR       any `json:"cidr"`
}

func (a *api) create(c *rest.Call) (rest.Reply, error) {
	var in createBody
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	request, err := in.request(c)
	if err != nil {
		return rest.Reply{}, err
	}
	made, err := a.s.Create(c.Context(), request, c.Event("server", "", c.Auth.ProjectID))
	if err != nil {
		return rest.Reply{}, err
	}
	one := made[0]
	if in.Server.Reservation != nil && bool(*in.Server.Reservation) {
		return rest.Accepted(map[string]any{"reservation_id": one.ReservationID})
	}
	password := in.Server.AdminPass
	if password == "" {
		password = id.Secret(9)
	}
	groups := []map[string]string{}
	for _, name := range request.Groups {
		groups = append(groups, map[string]string{"name": name})
	}
	v := &view{Server: one, s: a.s}
	body := map[string]any{"id": one.ID, "links": links(c, v), "OS-DCF:diskConfig": one.DiskConfig, "adminPass": password, "security_groups": groups}
	reply, err := rest.Accepted(map[string]any{"server": body})
	return reply.With("Location", c.Link("/v2.1/servers/"+one.ID)), err
}

// request turns the body into what the service takes.
func (b *createBody) request(c *rest.Call) (Request, error) {
	in := &b.Server
	if err := checkHostname(c, &in.Hostname); err != nil {
		return Request{}, err
	}
	r := Request{Min: 1, Max: 1, Zone: in.Zone.Or(""), Host: in.Host, Admin: c.Allow(ruleExtended, c.Caller()),
		ZeroDisk: c.Allow(ruleZeroDisk, c.Caller()), ForceHost: c.Allow(ruleForceHost, c.Caller()), Shared: c.At(compute.MultiAttach)}
	if in.Hypervisor != "" {
		r.Host = in.Hypervisor
	}
	one := &r.Server
	*one = compute.Server{Name: in.Name, ProjectID: c.Auth.ProjectID, UserID: c.Auth.UserID, ImageID: imageID(in.ImageRef), Metadata: in.Metadata,
		Tags: in.Tags, KeyName: in.KeyName.Or(""), UserData: in.UserData.Or(""), DiskConfig: "MANUAL", Hostname: in.Hostname,
		Description: in.Description.V, Described: in.Description.Set && !in.Description.Null}
	if !c.At(compute.ServerDescription) {
		one.Description, one.Described = in.Name, true
	}
	if in.DiskConfig != "" {
		one.DiskConfig = in.DiskConfig
	}
	if in.Trusted.Set && !in.Trusted.Null {
		one.TrustedCerts = in.Trusted.V
	}
	for _, step := range []func(*rest.Call, *Request) error{b.counts, b.refs, b.drive, b.files, b.networks, b.mappings, b.hints} {
		if err := step(c, &r); err != nil {
			return r, err
		}
	}
	return r, nil
}

func imageID(ref string) string { return ref[strings.LastIndex(ref, "/")+1:] }

func (b *createBody) counts(_ *rest.Call, r *Request) error {
	if n := b.Server.MinCount; n != nil {
		r.Min, r.Max = int(*n), int(*n)
	}
	if n := b.Server.MaxCount; n != nil {
		r.Max = int(*n)
		if b.Server.MinCount == nil {
			r.Min = 1
		}
	}
	if r.Min > r.Max {
		return fault.Invalidf("min_count must be <= max_count")
	}
	if r.Max > 1000 {
		return fault.OverQuotaf("Quota exceeded for instances: Requested %d", r.Max)
	}
	return nil
}

func (b *createBody) refs(_ *rest.Call, r *Request) (err error) {
	switch v := b.Server.FlavorRef.(type) {
	case string:
		r.FlavorID = v[strings.LastIndex(v, "/")+1:]
	case float64:
		r.FlavorID = strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return fault.Invalidf("Invalid input for field/attribute flavorRef. Value: %v. It is neither a string nor an integer", v)
	}
	if err := checkItems(b.Server.Metadata); err != nil {
		return err
	}
	if err := checkTags(b.Server.Tags); err != nil {
		return err
	}
	v4, err := accessAddress(b.Server.AccessIPv4, 4)
	if err != nil {
		return err
	}
	v6, err := accessAddress(b.Server.AccessIPv6, 6)
	if v4 != nil {
		r.Server.AccessIPv4 = *v4
	}
	if v6 != nil {
		r.Server.AccessIPv6 = *v6
	}
	return err
}

// accessAddress reads an address of one version; empty text and null clear it.
func accessAddress(in rest.Opt[string], version int) (*string, error) {
	if !in.Set {
		return nil, nil
	}
	text := in.Or("")
	if text == "" {
		return &text, nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil || (version == 4) != a.Is4() {
		return nil, fault.Invalidf("Invalid input for field/attribute accessIPv%d. Value: %s. It is not an IPv%d address", version, text, version)
	}
	text = a.String() // the canonical form, as upstream keeps it
	return &text, nil
}

func (b *createBody) drive(_ *rest.Call, r *Request) error {
	switch v := b.Server.ConfigDrive.V.(type) {
	case nil:
	case bool:
		r.Server.ConfigDrive = v
	case string:
		on, ok := rest.ParseBool(v)
		if !ok && v != "" {
			return fault.Invalidf("Invalid config_drive provided.")
		}
		r.Server.ConfigDrive = on
	default:
		return fault.Invalidf("Invalid config_drive provided.")
	}
	return nil
}

func (b *createBody) files(_ *rest.Call, r *Request) error {
	for _, f := range b.Server.Files {
		data, err := base64.StdEncoding.DecodeString(f.Contents)
		if err != nil {
			return fault.Invalidf("Personality content for %s cannot be decoded", f.Path)
		}
		path := strings.TrimPrefix(f.Path, "/")
		if path == "" || strings.Contains("/"+path+"/", "/../") {
			return fault.Invalidf("Invalid input for field/attribute path. Value: %s", f.Path)
		}
		r.Files = append(r.Files, guest.File{Path: path, Data: data})
	}
	return nil
}

func (b *createBody) networks(c *rest.Call, r *Request) error {
	for _, g := range b.Server.Groups {
		r.Groups = append(r.Groups, g.Name)
	}
	if len(r.Groups) == 0 {
		r.Groups = []string{"default"}
	}
	raw := b.Server.Networks
	var word string
	switch {
	case len(raw) == 0 || string(raw) == "null":
		if c.At(compute.RequiredNetworks) {
			return fault.Invalidf("Invalid input for field/attribute server. 'networks' is a required property")
		}
		return nil
	case json.Unmarshal(raw, &word) == nil:
		if !c.At(compute.RequiredNetworks) || (word != "auto" && word != "none") {
			return fault.Invalidf("Invalid input for field/attribute networks. Value: %s. It is not of type 'array'", word)
		}
		if r.NoNetwork = word == "none"; !r.NoNetwork {
			r.Networks = []network.PortRequest{{Auto: true}}
		}
		return nil
	}
	var list []struct {
		UUID    rest.Opt[string] `json:"uuid"`
		Port    rest.Opt[string] `json:"port"`
		FixedIP string           `json:"fixed_ip"`
		Tag     string           `json:"tag" v:"min=1,max=60"`
	}
	if err := rest.DecodeValue(raw, &list); err != nil {
		return err
	}
	for _, n := range list {
		want := network.PortRequest{NetworkID: n.UUID.Or(""), PortID: n.Port.Or(""), FixedIP: n.FixedIP, Tag: n.Tag, AnyNetwork: c.Allow(ruleExternal, policy.Target{})}
		if err := checkPortRequest(want); err != nil {
			return err
		}
		r.Networks = append(r.Networks, want)
	}
	return nil
}

func checkPortRequest(want network.PortRequest) error {
	switch {
	case want.PortID != "" && !id.Valid(want.PortID):
		return fault.Invalidf("Bad port format: port uuid is not in proper format (%s)", want.PortID)
	case want.PortID != "":
		return nil
	case !id.Valid(want.NetworkID):
		return fault.Invalidf("Bad networks format: network uuid is not in proper format (%s)", want.NetworkID)
	}
	if want.FixedIP != "" {
		if _, err := netip.ParseAddr(want.FixedIP); err != nil {
			return fault.Invalidf("Invalid fixed IP address (%s)", want.FixedIP)
		}
	}
	return nil
}

func (b *createBody) mappings(_ *rest.Call, r *Request) error {
	if len(b.Server.OldMapping) > 0 && len(b.Server.Mapping) > 0 {
		return fault.Invalidf("Using different block_device_mapping syntaxes is not allowed in the same request.")
	}
	for _, m := range b.Server.OldMapping {
		d, err := oldMapping(m)
		if err != nil {
			return err
		}
		r.Disks = append(r.Disks, d)
	}
	for _, m := range b.Server.Mapping {
		d, err := m.disk()
		if err != nil {
			return err
		}
		if m.Source == "image" && d.Local && !d.root() && d.BootIndex == nil {
			zero := 0
			d.BootIndex = &zero
		}
		r.Disks = append(r.Disks, d)
	}
	return nil
}

func (m mapping) disk() (DiskRequest, error) {
	d := DiskRequest{Source: m.Source, Local: m.Destination == "local" || (m.Destination == "" && (m.Source == "image" || m.Source == "blank")),
		DeviceName: m.DeviceName.Or(""), GuestFormat: m.GuestFormat.Or(""), Tag: m.Tag, VolumeType: m.VolumeType.Or(""),
		DeleteOnTermination: m.Delete != nil && bool(*m.Delete)}
	byKind := map[string]rest.Opt[string]{"volume": m.VolumeID, "snapshot": m.SnapshotID, "image": m.ImageID}
	d.UUID = m.UUID.Or(byKind[m.Source].Or(""))
	if m.Source == "" {
		return d, badMapping("source_type is missing")
	}
	if m.Source != "blank" && !id.Valid(d.UUID) {
		return d, badMapping("uuid of source %s is not valid", m.Source)
	}
	if m.Source == "volume" && d.Local {
		return d, badMapping("Mapping volume to local is not supported.")
	}
	switch bus := m.Bus.Or(""); bus {
	case "", "virtio", "scsi", "ide", "sata":
		d.Bus = strings.Replace(bus, "sata", "ide", 1)
	default:
		return d, badMapping("disk bus %s is not supported", bus)
	}
	size, _, err := number64(m.Size)
	if err != nil || size < 0 {
		return d, badMapping("Invalid volume_size.")
	}
	d.SizeGiB = int(size)
	index, said, err := number64(m.BootIndex)
	if err != nil {
		return d, badMapping("Boot index is not a number.")
	}
	if said {
		n := int(index)
		d.BootIndex = &n
	}
	return d, nil
}

// number64 reads a number that may be text, null or absent.
func number64(in rest.Opt[any]) (n int64, said bool, err error) {
	switch v := in.V.(type) {
	case nil:
		return 0, false, nil
	case float64:
		return int64(v), true, nil
	case string:
		if v == "" {
			return 0, false, nil
		}
		n, err = strconv.ParseInt(v, 10, 64)
		return n, true, err
	}
	return 0, false, strconv.ErrSyntax
}

// oldMapping reads the first version's entries: a volume by device name.
func oldMapping(m map[string]any) (DiskRequest, error) {
	text := func(key string) string { s, _ := m[key].(string); return s } // not text: missing
	d := DiskRequest{Source: "volume", UUID: text("volume_id"), DeviceName: text("device_name")}
	if snapshot := text("snapshot_id"); snapshot != "" {
		d.Source, d.UUID = "snapshot", snapshot
	}
	if !id.Valid(d.UUID) {
		return d, badMapping("it names neither a volume nor a snapshot")
	}
	switch v := m["delete_on_termination"].(type) {
	case bool:
		d.DeleteOnTermination = v
	case string:
		d.DeleteOnTermination, _ = rest.ParseBool(v) // anything else is false, as before
	}
	if strings.HasSuffix(d.DeviceName, "vda") || d.DeviceName == "" {
		zero := 0
		d.BootIndex = &zero
	}
	return d, nil
}

func (b *createBody) hints(_ *rest.Call, r *Request) error {
	h := b.Hints
	if b.Hints2 != (hints{}) {
		h = b.Hints2
	}
	var err error
	if r.Same, err = idList("same_host", h.Same); err != nil {
		return err
	}
	if r.Not, err = idList("different_host", h.Different); err != nil {
		return err
	}
	groups, err := idList("group", h.Group)
	if len(groups) > 0 {
		r.GroupHint = groups[0]
	}
	return err
}

func idList(name string, v any) ([]string, error) {
	var out []string
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		out = []string{v}
	case []any:
		for _, x := range v {
			s, ok := x.(string)
			if !ok {
				return nil, fault.Invalidf("Invalid input for field/attribute %s: it is not a list of ids", name)
			}
			out = append(out, s)
		}
	default:
		return nil, fault.Invalidf("Invalid input for field/attribute %s: it is not an id", name)
	}
	for _, s := range out {
		if !id.Valid(s) {
			return nil, fault.Invalidf("Invalid input for field/attribute %s. Value: %s. It is not a 'uuid'", name, s)
		}
	}
	return out, nil
}

// checkItems refuses metadata that upstream's schema refuses.
func checkItems(items map[string]string) error {
	for k, v := range items {
		if k == "" || len(k) > 255 || len(v) > 255 {
			return fault.Invalidf("Invalid input for field/attribute metadata: keys have 1 to 255 characters, values at most 255")
		}
		for _, r := range k {
			if !strings.ContainsRune("-_:. ", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
				return fault.Invalidf("Invalid input for field/attribute metadata. Additional properties are not allowed ('%s' was unexpected)", k)
			}
		}
	}
	return nil
}

func checkTags(tags []string) error {
	seen := map[string]bool{}
	for _, t := range tags {
		if t == "" || len(t) > 60 || strings.ContainsAny(t, "/,") {
			return fault.Invalidf("Invalid input for field/attribute tags. Value: %s. A tag has 1 to 60 characters, none of them '/' or ','", t)
		}
		if seen[t] {
			return fault.Invalidf("Invalid input for field/attribute tags: %s is there twice", t)
		}
		seen[t] = true
	}
	return nil
}

// record is the audit record of a request about a server.
func record(c *rest.Call, one *Server) event.Record {
	return c.Event("server", one.ID, one.ProjectID)
}

const accepted = http.StatusAccepted
