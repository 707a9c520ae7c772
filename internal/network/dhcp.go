package network

// DHCPNames maps extra options of ports, as users name them, to the words of
// the engine, by IP version.
var DHCPNames = map[int]map[string]string{
	4: {"router": "router", "netmask": "netmask", "dns-server": "dns_server", "domain-name": "domain_name", "mtu": "mtu", "ntp-server": "ntp_server",
		"tftp-server": "tftp_server", "66": "tftp_server", "bootfile-name": "bootfile_name", "67": "bootfile_name", "server-ip-address": "tftp_server_address",
		"tftp-server-address": "tftp_server_address", "150": "tftp_server_address", "wpad": "wpad", "lease-time": "lease_time", "T1": "T1", "T2": "T2",
		"default-ttl": "default_ttl", "ip-forward-enable": "ip_forward_enable", "router-discovery": "router_discovery",
		"log-server": "log_server", "lpr-server": "lpr_server", "swap-server": "swap_server", "policy-filter": "policy_filter", "nis-server": "nis_server",
		"path-prefix": "path_prefix", "210": "path_prefix", "domain-search": "domain_search_list", "dhcp_disabled": ""},
	6: {"dns-server": "dns_server", "domain-search": "domain_search", "server-id": "server_id", "bootfile-name": "bootfile_name", "dhcp_disabled": ""},
}

// DHCPOptionKnown tells whether a port may carry this extra option.
func DHCPOptionKnown(name string, version int) bool {
	_, ok := DHCPNames[version][name]
	return ok
}
