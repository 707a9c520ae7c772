package attach

import (
	"context"
	"net/netip"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/quota"
)

// Service is network.ForCompute. Safe for concurrent use.
type Service struct {
	records   *records.Records
	quota     *quota.Quota
	automatic Automatic
}

// Automatic makes networks for projects that have none.
type Automatic interface {
	// Ready refuses with Conflict when it could not make one.
	Ready(ctx context.Context, q db.Querier, reach string) error
	// EnsureIn makes it, or finds the one that was made before.
	EnsureIn(ctx context.Context, tx *db.Tx, projectID, reach string) (networkID string, err error)
}

var _ network.ForCompute = (*Service)(nil)

// New makes the service.
func New(r *records.Records, q *quota.Quota, a Automatic) *Service { return &Service{r, q, a} }

// Plan checks a server's request for networks and mints the ports' ids.
func (s *Service) Plan(ctx context.Context, projectID string, requests []network.PortRequest, none bool, groups []string) ([]network.PlannedPort, error) {
	if none {
		return nil, nil
	}
	groupIDs, err := s.groups(ctx, projectID, groups)
	if err != nil {
		return nil, err
	}
	if err := s.records.SeemOneKind(ctx, s.records.DB, groupIDs); err != nil {
		return nil, err
	}
	if auto := len(requests) == 1 && requests[0].Auto; auto || len(requests) == 0 {
		only, err := s.only(ctx, s.records.DB, projectID)
		if err != nil {
			return nil, err
		}
		if auto && len(only) == 0 {
			return s.planAuto(ctx, projectID, groupIDs)
		}
		requests = only
	}
	var out []network.PlannedPort
	fresh := int64(0)
	for _, q := range requests {
		p, err := s.planOne(ctx, projectID, q)
		if err != nil {
			return nil, err
		}
		if !p.Existing {
			p.SecurityGroups = groupIDs
			fresh++
		}
		out = append(out, p)
	}
	return out, s.room(ctx, projectID, fresh)
}

// planAuto plans a port on a network that there is not yet.
func (s *Service) planAuto(ctx context.Context, projectID string, groupIDs []string) ([]network.PlannedPort, error) {
	err := s.automatic.Ready(ctx, s.records.DB, projectID)
	if fault.Is(err, fault.Conflict) {
		err = unable(projectID)
	}
	if err != nil {
		return nil, err
	}
	return []network.PlannedPort{{PortID: id.New(), Auto: true, SecurityGroups: groupIDs}}, s.room(ctx, projectID, 1)
}

func unable(projectID string) error {
	return fault.Invalidf("Unable to automatically allocate a network for project %s", projectID).With("UnableToAutoAllocateNetwork")
}

// choose is the network of a port that was planned without one. By now the
// project may have one.
func (s *Service) choose(ctx context.Context, tx *db.Tx, projectID string) (string, error) {
	have, err := s.only(ctx, tx, projectID)
	if err != nil {
		return "", err
	}
	if len(have) > 0 {
		return have[0].NetworkID, nil
	}
	networkID, err := s.automatic.EnsureIn(ctx, tx, projectID, projectID)
	if fault.Is(err, fault.Conflict) || fault.Is(err, fault.OverQuota) {
		err = unable(projectID)
	}
	return networkID, err
}

// room refuses early what the quota will not allow; Ensure checks for good.
func (s *Service) room(ctx context.Context, projectID string, more int64) error {
	limits, err := s.quota.Limits(ctx, s.records.DB, projectID)
	if err != nil || more == 0 || limits["port"] == quota.Unlimited {
		return err
	}
	used, err := s.records.Ports.Count(ctx, s.records.DB, records.Is("project_id", projectID))
	if err == nil && used+more > limits["port"] {
		err = fault.OverQuotaf("Maximum number of ports exceeded")
	}
	return err
}

// only is the network that a server gets when nothing was said.
func (s *Service) only(ctx context.Context, q db.Querier, projectID string) ([]network.PortRequest, error) {
	own, err := s.records.Networks.Where(ctx, q, records.Is("project_id", projectID), records.Is("external", false))
	if err != nil {
		return nil, err
	}
	shared, err := s.records.Networks.Where(ctx, q, records.Is(records.SharedWith, projectID), listing.Term{Column: "project_id", Op: listing.NotEq, Values: []any{projectID}})
	if err != nil {
		return nil, err
	}
	switch all := append(own, shared...); len(all) {
	case 0:
		return nil, nil
	case 1:
		return []network.PortRequest{{NetworkID: all[0].ID}}, nil
	}
	return nil, fault.Conflictf("Multiple possible networks found, use a Network ID to be more specific.").With("NetworkAmbiguous")
}

func (s *Service) planOne(ctx context.Context, projectID string, q network.PortRequest) (network.PlannedPort, error) {
	if q.PortID != "" {
		return s.planPort(ctx, projectID, q)
	}
	n, err := s.records.BareNetwork(ctx, s.records.DB, q.NetworkID)
	if fault.Is(err, fault.NotFound) || err == nil && !q.AnyNetwork && n.ProjectID != projectID && !n.SharedWith.Includes(projectID) && !n.ExternalTo.Includes(projectID) {
		return network.PlannedPort{}, fault.Invalidf("Network %s could not be found.", q.NetworkID).With("NetworkNotFound")
	}
	if err != nil {
		return network.PlannedPort{}, err
	}
	if n.External && !q.AnyNetwork && !n.SharedWith.Includes(projectID) && n.ProjectID != projectID {
		return network.PlannedPort{}, fault.Forbiddenf("It is not allowed to create an interface on external network %s", n.ID).With("ExternalNetworkAttachForbidden")
	}
	subnets, err := s.records.KnownSubnetsOf(ctx, s.records.DB, n.ID)
	if err != nil {
		return network.PlannedPort{}, err
	}
	if len(subnets) == 0 {
		return network.PlannedPort{}, fault.Invalidf("Network %s requires a subnet in order to boot instances on.", n.ID).With("NetworkRequiresSubnet")
	}
	p := network.PlannedPort{PortID: id.New(), NetworkID: n.ID, FixedIP: q.FixedIP, Tag: q.Tag}
	return p, s.checkFixed(ctx, n.ID, subnets, q.FixedIP)
}

func (s *Service) checkFixed(ctx context.Context, networkID string, subnets []network.Subnet, text string) error {
	if text == "" {
		return nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return fault.Invalidf("Fixed IP %s is not a valid ip address for network %s.", text, networkID)
	}
	for _, sub := range subnets {
		if !sub.CIDR.Contains(a) {
			continue
		}
		taken, err := s.records.Taken(ctx, s.records.DB, sub.ID, a)
		if err == nil && taken {
			err = fault.Invalidf("Fixed IP address %s is already in use on instance.", text).With("FixedIpAlreadyInUse")
		}
		return err
	}
	return fault.Invalidf("Fixed IP %s is not a valid ip address for network %s.", text, networkID)
}

func (s *Service) planPort(ctx context.Context, projectID string, q network.PortRequest) (network.PlannedPort, error) {
	p, err := s.records.Ports.Get(ctx, q.PortID)
	if fault.Is(err, fault.NotFound) || err == nil && p.ProjectID != projectID {
		return network.PlannedPort{}, fault.Invalidf("Port id %s could not be found.", q.PortID).With("PortNotFound")
	}
	if err != nil {
		return network.PlannedPort{}, err
	}
	if p.DeviceID != "" {
		return network.PlannedPort{}, fault.Conflictf("Port %s is still in use.", p.ID).With("PortInUse")
	}
	return network.PlannedPort{PortID: p.ID, NetworkID: p.NetworkID, Existing: true, Tag: q.Tag}, nil
}

// groups resolves names or ids of a project's groups; none means the default.
func (s *Service) groups(ctx context.Context, projectID string, words []string) ([]string, error) {
	var out []string
	for _, word := range words {
		if word == "default" {
			groupID, err := s.defaultGroup(ctx, projectID)
			if err != nil {
				return nil, err
			}
			out = append(out, groupID)
			continue
		}
		byID, err := s.records.Groups.Where(ctx, s.records.DB, listing.Term{Column: records.Visible, Values: []any{projectID, projectID}}, records.Is("id", word))
		if err != nil {
			return nil, err
		}
		if len(byID) == 0 {
			if byID, err = s.records.Groups.Where(ctx, s.records.DB, records.Is("project_id", projectID), records.Is("name", word)); err != nil {
				return nil, err
			}
		}
		switch len(byID) {
		case 0:
			return nil, fault.Invalidf("Security group %s not found.", word).With("SecurityGroupNotFound")
		case 1:
			out = append(out, byID[0].ID)
		default:
			return nil, fault.Conflictf("Multiple security groups found matching '%s'. Use an ID to be more specific.", word).With("NoUniqueMatch")
		}
	}
	return out, nil
}

func (s *Service) defaultGroup(ctx context.Context, projectID string) (groupID string, err error) {
	if groupID, err = s.records.KnownDefaultGroup(ctx, projectID); err != nil || groupID != "" {
		return groupID, err
	}
	err = s.records.DB.Write(ctx, func(tx *db.Tx) error {
		groupID, err = s.records.DefaultGroup(ctx, tx, projectID)
		return err
	})
	return groupID, err
}
