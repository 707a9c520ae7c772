package groups

import (
	"encoding/json"
	"net/netip"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/rest"
)

type ruleBody struct {
	GroupID      string                    `json:"security_group_id" v:"required"`
	Direction    string                    `json:"direction" v:"required,enum=ingress|egress"`
	EtherType    rest.Opt[string]          `json:"ethertype"`
	Protocol     rest.Opt[json.RawMessage] `json:"protocol"`
	PortMin      rest.Opt[rest.Int]        `json:"port_range_min"`
	PortMax      rest.Opt[rest.Int]        `json:"port_range_max"`
	RemoteGroup  rest.Opt[string]          `json:"remote_group_id"`
	RemotePrefix rest.Opt[string]          `json:"remote_ip_prefix"`
	AddressGroup rest.Opt[string]          `json:"remote_address_group_id"`
	Description  rest.Opt[string]          `json:"description" v:"max=255"`
	TenantID     string                    `json:"tenant_id" v:"max=255"`
	ProjectID    string                    `json:"project_id" v:"max=255"`
}

func badRule(code, format string, args ...any) error {
	return fault.Invalidf(format, args...).With(code)
}

// rule makes a rule of a body; pure.
func (in ruleBody) rule() (*network.Rule, error) {
	r := &network.Rule{GroupID: in.GroupID, Direction: in.Direction, EtherType: network.IPv4, RemoteGroupID: in.RemoteGroup.Or(""), AddressGroupID: in.AddressGroup.Or("")}
	r.Description = in.Description.Or("")
	switch text := in.EtherType.Or(network.IPv4); strings.ToLower(text) {
	case "ipv4":
	case "ipv6":
		r.EtherType = network.IPv6
	default:
		return nil, badRule("SecurityGroupRuleInvalidEtherType", "Security group rule for ethertype '%s' not supported. Allowed values are ['IPv4', 'IPv6'].", text)
	}
	if err := in.setRemote(r); err != nil {
		return nil, err
	}
	if err := in.setProtocol(r); err != nil {
		return nil, err
	}
	return r, in.setPorts(r)
}

func (in ruleBody) setRemote(r *network.Rule) error {
	text := in.RemotePrefix.Or("")
	if r.AddressGroupID != "" && (r.RemoteGroupID != "" || text != "") {
		return badRule("SecurityGroupMultipleRemoteEntites", "Only one of remote_ip_prefix, remote_group_id or remote_address_group_id may be provided.")
	}
	if text == "" {
		return nil
	}
	if r.RemoteGroupID != "" {
		return badRule("SecurityGroupRemoteGroupAndRemoteIpPrefix", "Only remote_ip_prefix or remote_group_id may be provided.")
	}
	p, err := netip.ParsePrefix(text)
	if a, single := netip.ParseAddr(text); err != nil && single == nil && a.Zone() == "" {
		p, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	if err != nil {
		return badRule("InvalidCIDR", "Invalid CIDR %s given as IP prefix.", text)
	}
	if p.Addr().Is4() != (r.EtherType == network.IPv4) {
		return badRule("SecurityGroupRuleParameterConflict", "Conflicting value ethertype %s for CIDR %s", r.EtherType, text)
	}
	r.RemotePrefix = p
	return nil
}

func (in ruleBody) setProtocol(r *network.Rule) error {
	if !in.Protocol.Set || in.Protocol.Null {
		return nil
	}
	word := strings.ToLower(strings.Trim(string(in.Protocol.V), `"`))
	if word == "any" || word == "" {
		return nil
	}
	number, ok := network.ProtocolNumber(word)
	if !ok {
		return badRule("SecurityGroupRuleInvalidProtocol", "Security group rule protocol %s not supported. Only protocol values and integer representations [0 to 255] are supported.", word)
	}
	if r.EtherType == network.IPv4 && (number == 58 || number == 41 || number == 43 || number == 44 || number == 59 || number == 60) {
		return badRule("SecurityGroupEthertypeConflictWithProtocol", "Invalid ethertype %s for protocol %s.", r.EtherType, word)
	}
	r.Protocol = word
	return nil
}

func (in ruleBody) setPorts(r *network.Rule) error {
	low, high := port(in.PortMin), port(in.PortMax)
	if low == nil && high == nil {
		return nil
	}
	number, _ := network.ProtocolNumber(r.Protocol) // checked by setProtocol
	switch {
	case r.Protocol == "":
		return badRule("SecurityGroupProtocolRequiredWithPorts", "Must also specify protocol if port range is given.")
	case number == 1 || number == 58:
		return setICMP(r, low, high)
	case number != 6 && number != 17 && number != 132:
		return badRule("SecurityGroupRuleInvalidProtocol", "Port ranges are not supported for protocol %s.", r.Protocol)
	}
	for _, n := range []*int{low, high} {
		if n != nil && (*n < 1 || *n > 65535) {
			return badRule("SecurityGroupInvalidPortValue", "Invalid value for port %d", *n)
		}
	}
	if low == nil || high == nil || *low > *high {
		return badRule("SecurityGroupInvalidPortRange", "For TCP/UDP protocols, port_range_min must be <= port_range_max")
	}
	r.PortMin, r.PortMax = low, high
	return nil
}

func setICMP(r *network.Rule, kind, code *int) error {
	if kind == nil {
		return badRule("SecurityGroupMissingIcmpType", "ICMP code (port-range-max) %d is provided but ICMP type (port-range-min) is missing.", *code)
	}
	for name, n := range map[string]*int{"type": kind, "code": code} {
		if n != nil && (*n < 0 || *n > 255) {
			return badRule("SecurityGroupInvalidIcmpValue", "Invalid value for ICMP %s (port_range) %d. It must be 0 to 255.", name, *n)
		}
	}
	r.PortMin, r.PortMax = kind, code
	return nil
}

func port(o rest.Opt[rest.Int]) *int {
	if !o.Set || o.Null {
		return nil
	}
	n := int(o.V)
	return &n
}
