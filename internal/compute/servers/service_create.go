package servers

import (
	"context"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/task"
)

// Request is what a user asks for.
type Request struct {
	Server    compute.Server // as far as the user says what it is: names, keys, metadata, zone…
	FlavorID  string
	Min, Max  int // how many
	Disks     []DiskRequest
	Files     []guest.File
	NoNetwork bool
	Networks  []network.PortRequest
	Groups    []string // security groups, by name or id
	Zone      string   // asked for, may be "zone:host"
	Host      string   // asked for by an administrator
	Same, Not []string // servers on whose hosts it must, or must not, be
	GroupHint string
	Admin     bool // sees every project's images and flavors
	ZeroDisk  bool // may use a flavor without a disk although the root is not a volume
	ForceHost bool // may name a host
	Shared    bool // knows of volumes that several servers have

	seen map[string]*image.Image // images that were looked up for it
}

// image looks an image up for a request, once.
func (s *Servers) image(ctx context.Context, in *Request, imageID string) (*image.Image, error) {
	if img := in.seen[imageID]; img != nil {
		return img, nil
	}
	img, err := s.Images.Lookup(ctx, image.Viewer{ProjectID: in.Server.ProjectID, Admin: in.Admin}, imageID)
	if err == nil {
		in.seen = map[string]*image.Image{imageID: img}
	}
	return img, err
}

// plan is everything that Create's transaction writes: all ids are minted.
type plan struct {
	servers []*Server
	disks   [][]*Disk
	nics    [][]*NIC
	params  createParams
}

// Create accepts servers and begins to make them. It answers those that were
// accepted: between Min and Max, as the quota allows.
func (s *Servers) Create(ctx context.Context, in Request, record event.Record) ([]*Server, error) {
	p, err := s.planServers(ctx, in)
	if err != nil {
		return nil, err
	}
	var made []*Server
	err = s.DB.Write(ctx, func(tx *db.Tx) error {
		n, err := s.affordable(ctx, tx, in, p.servers[0])
		if err != nil {
			return err
		}
		made = p.servers[:n]
		for i, one := range made {
			if err := s.insert(ctx, tx, one, p.disks[i], p.nics[i], p.params, record); err != nil {
				return err
			}
		}
		return nil
	})
	return made, err
}

// affordable is how many of the servers the project may have.
func (s *Servers) affordable(ctx context.Context, tx *db.Tx, in Request, one *Server) (int, error) {
	var refused error
	for n := in.Max; n >= in.Min; n-- {
		k := int64(n)
		refused = s.Quota.Check(ctx, tx, one.ProjectID, map[string]int64{"instances": k, "cores": k * int64(one.Flavor.VCPUs), "ram": k * int64(one.Flavor.MemoryMiB)})
		if refused == nil {
			return n, s.groupHasRoom(ctx, tx, one, n)
		}
		if !fault.Is(refused, fault.OverQuota) {
			return 0, refused
		}
	}
	return 0, refused
}

func (s *Servers) groupHasRoom(ctx context.Context, tx *db.Tx, one *Server, more int) error {
	if one.GroupID == "" {
		return nil
	}
	limits, err := s.Quota.Limits(ctx, tx, one.ProjectID)
	if err != nil {
		return err
	}
	members, err := inGroups(ctx, tx, []string{one.GroupID})
	if err != nil {
		return err
	}
	if limit := limits["server_group_members"]; limit >= 0 && int64(len(members[one.GroupID])+more) > limit {
		return fault.OverQuotaf("Quota exceeded, too many servers in group")
	}
	return nil
}

func (s *Servers) insert(ctx context.Context, tx *db.Tx, one *Server, disks []*Disk, nics []*NIC, p createParams, record event.Record) (err error) {
	if one.Serial, err = db.NextSerial(ctx, tx, "compute.server"); err != nil {
		return err
	}
	if err := insertServer(ctx, tx, one); err != nil {
		return err
	}
	for _, d := range disks {
		if err := putDisk(ctx, tx, d); err != nil {
			return err
		}
	}
	for _, n := range nics {
		if err := putNIC(ctx, tx, n); err != nil {
			return err
		}
	}
	record.Object = one.ID
	if err := beginAction(ctx, tx, one, "create", "compute__do_build_and_run_instance", record.UserID, record.RequestID, one.CreatedAt); err != nil {
		return err
	}
	begin := work(one, record, false)
	begin.Fresh = true
	if _, err := s.sagas.create.Enqueue(ctx, tx, begin, p); err != nil {
		return err
	}
	return outbox.Write(ctx, tx, record)
}

// work says what a saga of a server is about.
func work(one *Server, record event.Record, preempt bool) task.Work {
	return task.Work{Object: one.ID, ProjectID: one.ProjectID, UserID: record.UserID, RequestID: record.RequestID, Preempt: preempt}
}

// planServers checks a request and mints what is to be made.
func (s *Servers) planServers(ctx context.Context, in Request) (*plan, error) {
	flavor, err := s.flavor(ctx, in)
	if err != nil {
		return nil, err
	}
	in.Server.Flavor = *flavor
	if err := s.checkParts(ctx, &in); err != nil {
		return nil, err
	}
	p := &plan{params: createParams{Same: in.Same, Not: in.Not}}
	if p.params.Zone, p.params.Host, err = s.zoneOf(ctx, in); err != nil {
		return nil, err
	}
	in.Server.PinnedZone, in.Server.GroupID = p.params.Zone, in.GroupHint
	disks, err := s.planDisks(ctx, &in)
	if err != nil {
		return nil, err
	}
	if p.params.Own = ownDisks(disks); in.GroupHint == "" {
		p.params.Flavor = flavor
	}
	now, reservation := stamp(s.Clock), "r-"+strings.ToLower(id.HexSecret(4))
	planned, err := s.Networks.Plan(ctx, in.Server.ProjectID, in.Networks, in.NoNetwork, in.Groups)
	if err != nil {
		return nil, err
	}
	for i := range in.Max {
		one := newServer(in, i, now, reservation)
		s.hide(one)
		if i > 0 { // the others have the same networks, and ports of their own
			planned = slices.Clone(planned)
			for k := range planned {
				if !planned[k].Existing {
					planned[k].PortID = id.New()
				}
			}
		}
		p.servers, p.disks = append(p.servers, one), append(p.disks, disksFor(one, disks))
		var nics []*NIC
		for k, port := range planned {
			nics = append(nics, &NIC{PortID: port.PortID, Server: one.ID, Position: k, Plan: port})
		}
		p.nics = append(p.nics, nics)
	}
	return p, nil
}

func (s *Servers) flavor(ctx context.Context, in Request) (*compute.Flavor, error) {
	project := in.Server.ProjectID
	if in.Admin {
		project = ""
	}
	f, err := s.Flavors.Get(ctx, in.FlavorID, project)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.Invalidf("Flavor %s could not be found.", in.FlavorID)
	}
	return f, err
}

// checkParts checks what a server is made of besides disks and networks.
func (s *Servers) checkParts(ctx context.Context, in *Request) error {
	one := &in.Server
	if one.KeyName != "" {
		key, err := s.Keys.Get(ctx, one.UserID, one.KeyName)
		if fault.Is(err, fault.NotFound) {
			return fault.Invalidf("Invalid key_name provided.")
		}
		if err != nil {
			return err
		}
		one.PublicKey, one.KeyType = key.PublicKey, key.Type
	}
	if _, err := base64.StdEncoding.DecodeString(one.UserData); err != nil {
		return fault.Invalidf("User data needs to be valid base 64.")
	}
	limits := map[string]int64{}
	if len(one.Metadata)+len(in.Files) > 0 {
		var err error
		if limits, err = s.Quota.Limits(ctx, s.DB, one.ProjectID); err != nil {
			return err
		}
	}
	if limit := limits["metadata_items"]; limit >= 0 && int64(len(one.Metadata)) > limit {
		return fault.OverQuotaf("Maximum number of metadata items exceeds %d", limit)
	}
	if limit := limits["injected_files"]; limit >= 0 && int64(len(in.Files)) > limit {
		return fault.OverQuotaf("Quota exceeded, too many injected files")
	}
	for _, f := range in.Files {
		if limit := limits["injected_file_content_bytes"]; limit >= 0 && int64(len(f.Data)) > limit {
			return fault.OverQuotaf("Quota exceeded, file content too long")
		}
	}
	if in.GroupHint == "" {
		return nil
	}
	if s.Groups == nil {
		return fault.Invalidf("Server group %s could not be found.", in.GroupHint)
	}
	if _, err := s.Groups.Rule(ctx, one.ProjectID, in.GroupHint); fault.Is(err, fault.NotFound) {
		return fault.Invalidf("Instance group %s could not be found.", in.GroupHint)
	} else if err != nil {
		return err
	}
	return nil
}

// zoneOf reads where the user wants the server: a zone, or "zone:host".
func (s *Servers) zoneOf(ctx context.Context, in Request) (zone, host string, err error) {
	zone, host, forced := strings.Cut(in.Zone, ":")
	host, _, _ = strings.Cut(host, ":")
	if in.Host != "" {
		host, forced = in.Host, true
	}
	if forced && host != "" && !in.ForceHost {
		return "", "", fault.Forbiddenf("Policy doesn't allow os_compute_api:servers:create:forced_host to be performed.")
	}
	if zone == "" && host == "" {
		return "", "", nil
	}
	hosts, err := s.Hosts.SchedulerHosts(ctx)
	if err != nil {
		return "", "", err
	}
	zoneSeen, hostSeen := zone == "", host == ""
	for _, h := range hosts {
		zoneSeen = zoneSeen || h.Zone == zone
		hostSeen = hostSeen || h.Name == host
	}
	switch {
	case !zoneSeen:
		return "", "", fault.Invalidf("The requested availability zone is not available")
	case !hostSeen:
		return "", "", fault.Invalidf("Compute host %s could not be found.", host)
	}
	return zone, host, nil
}

var notHostname = regexp.MustCompile(`[^a-z0-9-]+`)

// hostnameOf makes a host name of a server's name.
func hostnameOf(name, serverID string) string {
	h := notHostname.ReplaceAllString(strings.NewReplacer(" ", "-", "_", "-", ".", "-").Replace(strings.ToLower(name)), "")
	h = strings.Trim(h[:min(len(h), 63)], ".-")
	if h == "" {
		return "server-" + serverID
	}
	return h
}

// newServer is the i-th server of a request.
func newServer(in Request, i int, now int64, reservation string) *Server {
	one := &Server{Server: in.Server, Desired: guest.Running, Files: in.Files}
	one.ID = id.New()
	if in.Max > 1 {
		one.Name = fmt.Sprintf("%s-%d", one.Name, i+1)
	}
	switch {
	case one.Hostname == "":
		one.Hostname = hostnameOf(one.Name, one.ID)
	case in.Max > 1:
		one.Hostname = fmt.Sprintf("%s-%d", one.Hostname, i+1)
	}
	one.ReservationID, one.LaunchIndex = reservation, i
	one.VM, one.Task, one.Power = compute.Building, compute.Scheduling, compute.PowerNone
	one.CreatedAt, one.UpdatedAt = now, now
	one.RootDevice = "/dev/vda"
	if one.Metadata == nil {
		one.Metadata = map[string]string{}
	}
	return one
}

// ownDisks is the size in GiB of the root disk of a server that has no volumes; nil: it has.
func ownDisks(planned []*Disk) *int {
	size := 0
	for _, d := range planned {
		if !d.own() {
			return nil
		}
		size = max(size, d.ownImage())
	}
	return &size
}

// disksFor copies planned disks for one of several servers.
func disksFor(one *Server, planned []*Disk) []*Disk {
	ids := mint(2 * len(planned))
	var out []*Disk
	for i, d := range planned {
		c := *d
		c.ID, c.Server = ids[2*i], one.ID
		if c.Make != nil {
			c.VolumeID = ids[2*i+1]
			c.GuestID = c.VolumeID
		}
		if c.own() { // nothing has to be waited for: it is part of the server
			c.State, c.Defined = diskAttached, true
		}
		out = append(out, &c)
	}
	return out
}

// wireTime is a time as Nova writes it in servers: seconds, UTC.
func wireTime(us int64) string { return clock.FromMicros(us).Format(time.RFC3339) }
