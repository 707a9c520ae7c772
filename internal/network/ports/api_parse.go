package ports

import (
	"encoding/json"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/rest"
)

type fixedIP struct {
	SubnetID *string `json:"subnet_id"`
	Address  *string `json:"ip_address"`
}

type pair struct {
	Address string  `json:"ip_address" v:"required"`
	MAC     *string `json:"mac_address"`
}

type option struct {
	Name    string   `json:"opt_name" v:"required,max=64"`
	Value   *string  `json:"opt_value" v:"null,max=255"`
	Version rest.Int `json:"ip_version"`
}

// body is what a create and an update have in common.
type body struct {
	Name         *string                   `json:"name" v:"max=255"`
	Description  *string                   `json:"description" v:"max=255"`
	AdminStateUp *rest.Bool                `json:"admin_state_up"`
	MAC          rest.Opt[string]          `json:"mac_address"`
	FixedIPs     rest.Opt[[]fixedIP]       `json:"fixed_ips"`
	DeviceID     *string                   `json:"device_id" v:"max=255"`
	DeviceOwner  *string                   `json:"device_owner" v:"max=255"`
	Groups       rest.Opt[[]string]        `json:"security_groups"`
	PortSecurity *rest.Bool                `json:"port_security_enabled"`
	Pairs        rest.Opt[[]pair]          `json:"allowed_address_pairs"`
	Options      rest.Opt[[]option]        `json:"extra_dhcp_opts"`
	Host         rest.Opt[string]          `json:"binding:host_id" v:"max=255"`
	Profile      rest.Opt[json.RawMessage] `json:"binding:profile"`
	VNICType     rest.Opt[string]          `json:"binding:vnic_type" v:"enum=normal"`
	DNSName      *string                   `json:"dns_name" v:"max=255"`
	DNSDomain    *string                   `json:"dns_domain" v:"max=255"`
	DataPlane    rest.Opt[string]          `json:"data_plane_status" v:"enum=ACTIVE|DOWN"`
	MACLearning  rest.Opt[rest.Bool]       `json:"mac_learning_enabled"`
	QoSPolicy    rest.Opt[string]          `json:"qos_policy_id" v:"uuid"`
}

type createBody struct {
	body
	TenantID  *string  `json:"tenant_id" v:"max=255"`
	ProjectID *string  `json:"project_id" v:"max=255"`
	NetworkID string   `json:"network_id" v:"required,uuid"`
	Tags      []string `json:"tags"`
}

func bad(what, format string, args ...any) error {
	return fault.Invalidf("Invalid input for "+what+". Reason: "+format, args...).With("HTTPBadRequest")
}

// apply writes what a body names into a port, but for its addresses.
func (b body) apply(p *network.Port) error {
	for _, s := range []struct{ to, from *string }{{&p.Name, b.Name}, {&p.Description, b.Description}, {&p.DeviceID, b.DeviceID}, {&p.DeviceOwner, b.DeviceOwner}} {
		if s.from != nil {
			*s.to = *s.from
		}
	}
	if b.AdminStateUp != nil {
		p.AdminStateUp = bool(*b.AdminStateUp)
	}
	if b.PortSecurity != nil {
		p.PortSecurity = bool(*b.PortSecurity)
	}
	if b.MAC.Set && b.MAC.Null {
		p.MAC = "" // another one is chosen
	}
	if b.MAC.Set && !b.MAC.Null {
		mac, err := parseMAC("mac_address", b.MAC.V)
		if err != nil {
			return err
		}
		p.MAC = mac
	}
	if b.Host.Set {
		p.Host = b.Host.V
	}
	if b.VNICType.Or("") != "" {
		p.VNICType = b.VNICType.V
	}
	if b.Profile.Set {
		profile, err := wire.Profile("binding:profile", b.Profile)
		if err != nil {
			return err
		}
		p.Profile = profile
	}
	if b.DataPlane.Set {
		p.DataPlaneStatus = b.DataPlane.Or("")
	}
	if b.MACLearning.Set {
		p.MACLearning = bool(b.MACLearning.Or(false))
	}
	if b.QoSPolicy.Set {
		p.QoSPolicyID = b.QoSPolicy.Or("")
	}
	if err := b.names(p); err != nil {
		return err
	}
	return b.lists(p)
}

// names writes what DNS knows a port by. A full name must be in our domain.
func (b body) names(p *network.Port) (err error) {
	if b.DNSDomain != nil {
		if p.DNSDomain, err = wire.Domain(*b.DNSDomain); err != nil {
			return err
		}
	}
	if b.DNSName == nil {
		return nil
	}
	name := strings.ToLower(*b.DNSName)
	if full, ok := strings.CutSuffix(name, "."); ok {
		if name, ok = strings.CutSuffix(full, "."+network.DefaultDomain); !ok {
			return bad("dns_name", "The dns_name passed is a FQDN. Its higher level labels must be equal to the domain '%s.'.", network.DefaultDomain)
		}
	}
	if name != "" && !network.DNSLabels(name) {
		return bad("dns_name", "'%s' not a valid PQDN or FQDN.", *b.DNSName)
	}
	p.DNSName = name
	return nil
}

// lists writes the list members of a body.
func (b body) lists(p *network.Port) (err error) {
	if b.Groups.Set {
		p.SecurityGroups = slices.Compact(slices.Sorted(slices.Values(b.Groups.V)))
	}
	if b.Pairs.Set {
		if p.AddressPairs, err = parsePairs(b.Pairs.V); err != nil {
			return err
		}
	}
	if b.Options.Set {
		p.DHCPOptions, err = mergeOptions(p.DHCPOptions, b.Options.V)
	}
	return err
}

func parseMAC(what, text string) (string, error) {
	mac, err := net.ParseMAC(text)
	if err != nil || len(mac) != 6 || mac[0]&1 == 1 || mac.String() == "00:00:00:00:00:00" {
		return "", bad(what, "'%s' is not a valid MAC address.", text)
	}
	return mac.String(), nil
}

func (b body) wants() ([]records.Want, error) {
	if !b.FixedIPs.Set || b.FixedIPs.Null {
		return nil, nil
	}
	out := []records.Want{}
	for _, f := range b.FixedIPs.V {
		var w records.Want
		if f.SubnetID != nil {
			w.SubnetID = *f.SubnetID
		}
		if f.Address != nil {
			a, err := netip.ParseAddr(*f.Address)
			if err != nil || a.Zone() != "" {
				return nil, bad("fixed_ips", "'%s' is not a valid IP address.", *f.Address)
			}
			w.Address = a
		}
		if w == (records.Want{}) {
			return nil, bad("fixed_ips", "each needs a subnet_id or an ip_address.")
		}
		if w.Address.IsValid() && slices.Contains(out, w) {
			return nil, bad("fixed_ips", "Duplicate IP address '%s'.", w.Address)
		}
		out = append(out, w)
	}
	return out, nil
}

// maxPairs is upstream's limit of address pairs of a port.
const maxPairs = 10

func parsePairs(in []pair) ([]network.AddressPair, error) {
	if len(in) > maxPairs {
		return nil, fault.Invalidf("The number of allowed address pair exceeds the maximum %d.", maxPairs).With("AllowedAddressPairExhausted")
	}
	out := make([]network.AddressPair, 0, len(in))
	for _, raw := range in {
		var p network.AddressPair
		if a, err := netip.ParseAddr(raw.Address); err == nil && a.Zone() == "" {
			p.Prefix, p.Single = netip.PrefixFrom(a, a.BitLen()), true
		} else if p.Prefix, err = netip.ParsePrefix(raw.Address); err != nil {
			return nil, bad("allowed_address_pairs", "'%s' is not a valid IP address.", raw.Address)
		}
		if p.Prefix.Addr().IsMulticast() {
			return nil, bad("allowed_address_pairs", "multicast address '%s' is not allowed.", raw.Address)
		}
		if raw.MAC != nil {
			mac, err := parseMAC("allowed_address_pairs", *raw.MAC)
			if err != nil {
				return nil, err
			}
			p.MAC = mac
		}
		if slices.Contains(out, p) {
			return nil, fault.Invalidf("Request contains duplicate address pair: mac_address %s ip_address %s.", p.MAC, raw.Address).With("DuplicateAddressPairInRequest")
		}
		out = append(out, p)
	}
	return out, nil
}

// mergeOptions sets options by name and version; a null value takes one away.
// What the engine cannot serve is refused, never dropped.
func mergeOptions(have []network.DHCPOption, in []option) ([]network.DHCPOption, error) {
	out := slices.Clone(have)
	for _, o := range in {
		version := int(o.Version)
		if version == 0 {
			version = 4
		}
		if !network.DHCPOptionKnown(o.Name, version) {
			return nil, bad("extra_dhcp_opts", "option '%s' cannot be served.", o.Name)
		}
		if o.Value != nil && strings.ContainsFunc(*o.Value, func(r rune) bool { return r < ' ' || r == 0x7f || strings.ContainsRune(`"\{}`, r) }) {
			return nil, bad("extra_dhcp_opts", "the value of '%s' has characters that cannot be served.", o.Name)
		}
		out = slices.DeleteFunc(out, func(d network.DHCPOption) bool { return d.Name == o.Name && d.Version == version })
		if o.Value != nil {
			out = append(out, network.DHCPOption{Name: o.Name, Value: *o.Value, Version: version})
		}
	}
	return out, nil
}

// reserved are the owners that only this service gives.
func reserved(owner string) bool {
	return slices.Contains([]string{network.OwnerRouterInterface, network.OwnerRouterGateway, network.OwnerFloatingIP, network.OwnerMetadata}, owner)
}

func (b body) restricted(verb string) map[string]bool {
	return map[string]bool{
		verb + "_port:mac_address": b.MAC.Set && !b.MAC.Null, verb + "_port:fixed_ips": b.FixedIPs.Set && len(b.FixedIPs.V) > 0,
		verb + "_port:port_security_enabled": b.PortSecurity != nil, verb + "_port:allowed_address_pairs": b.Pairs.Set,
		verb + "_port:data_plane_status": b.DataPlane.Set, verb + "_port:mac_learning_enabled": b.MACLearning.Set, verb + "_port:binding:host_id": b.Host.Set, verb + "_port:binding:profile": b.Profile.Set,
	}
}
