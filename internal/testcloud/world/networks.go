package world

// networks makes one of each thing of the network service.
func (w *World) networks() {
	const v2 = "/networking/v2.0"
	m, a := w.m, w.a
	network := w.made(m, "network", v2+"/networks", "network.id", Object{"network": Object{"name": "lan"}})
	subnet := w.made(m, "subnet", v2+"/subnets", "subnet.id", Object{"subnet": Object{"network_id": network, "cidr": "10.20.0.0/24", "ip_version": 4}})
	outside := w.made(a, "outside network", v2+"/networks", "network.id", Object{"network": Object{"name": "wan", "router:external": true}})
	w.made(a, "outside subnet", v2+"/subnets", "subnet.id", Object{"subnet": Object{"network_id": outside, "cidr": "198.51.100.0/24", "ip_version": 4}})
	group := w.made(m, "security group", v2+"/security-groups", "security_group.id", Object{"security_group": Object{"name": "doors"}})
	w.made(m, "security group rule", v2+"/security-group-rules", "security_group_rule.id", Object{"security_group_rule": Object{"security_group_id": group,
		"direction": "ingress", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22}})
	port := w.made(m, "port", v2+"/ports", "port.id", Object{"port": Object{"network_id": network, "fixed_ips": []Object{{"subnet_id": subnet, "ip_address": "10.20.0.50"}}}})
	router := w.made(m, "router", v2+"/routers", "router.id", Object{"router": Object{"name": "gate", "external_gateway_info": Object{"network_id": outside}}})
	w.set(m, "PUT", v2+"/routers/"+router+"/add_router_interface", Object{"subnet_id": subnet})
	floating := w.made(m, "floating ip", v2+"/floatingips", "floatingip.id", Object{"floatingip": Object{"floating_network_id": outside}})
	w.made(m, "port forwarding", v2+"/floatingips/"+floating+"/port_forwardings", "port_forwarding.id", Object{"port_forwarding": Object{"internal_port_id": port,
		"internal_ip_address": "10.20.0.50", "internal_port": 80, "external_port": 8080, "protocol": "tcp"}})
	w.made(m, "address group", v2+"/address-groups", "address_group.id", Object{"address_group": Object{"name": "friends", "addresses": []string{"192.0.2.0/24"}}})
	w.made(m, "address scope", v2+"/address-scopes", "address_scope.id", Object{"address_scope": Object{"name": "site", "ip_version": 4}})
	w.made(m, "subnet pool", v2+"/subnetpools", "subnetpool.id", Object{"subnetpool": Object{"name": "pool", "prefixes": []string{"10.64.0.0/16"}}})
	trunked := w.made(m, "trunk port", v2+"/ports", "port.id", Object{"port": Object{"network_id": network}})
	w.made(m, "trunk", v2+"/trunks", "trunk.id", Object{"trunk": Object{"port_id": trunked}})
	w.made(m, "sharing", v2+"/rbac-policies", "rbac_policy.id", Object{"rbac_policy": Object{"object_type": "network", "object_id": network,
		"action": "access_as_shared", "target_tenant": w.Third}})
	qos := w.made(w.People.Named("project manager"), "qos", v2+"/qos/policies", "policy.id", Object{"policy": Object{"name": "slow"}})
	of := v2 + "/qos/policies/" + qos
	w.made(w.People.Named("project manager"), "bandwidth rule", of+"/bandwidth_limit_rules", "bandwidth_limit_rule.id", Object{"bandwidth_limit_rule": Object{"max_kbps": 1000}})
	w.made(w.People.Named("project manager"), "dscp rule", of+"/dscp_marking_rules", "dscp_marking_rule.id", Object{"dscp_marking_rule": Object{"dscp_mark": 26}})
	w.made(a, "default rule", v2+"/default-security-group-rules", "default_security_group_rule.id",
		Object{"default_security_group_rule": Object{"direction": "ingress", "protocol": "tcp", "port_range_min": 443, "port_range_max": 443}})
	const statefulness = "security_groups_default_statefulness"
	w.made(w.People.Named("project manager"), "statefulness", v2+"/security-groups-default-statefulness", statefulness+".id", Object{statefulness: Object{"stateful": true}})
	agents := w.set(a, "GET", v2+"/agents", nil).List("agents")
	w.Things["agent"] = agents[0].(Object)["id"].(string)
	for _, path := range []string{"networks/" + network, "subnets/" + subnet, "ports/" + port, "routers/" + router, "floatingips/" + floating, "security-groups/" + group,
		"address-groups/" + w.Things["address group"], "subnetpools/" + w.Things["subnet pool"], "trunks/" + w.Things["trunk"], "qos/policies/" + qos} {
		w.set(a, "PUT", v2+"/"+path+"/tags/blue", nil)
	}
}
