package world

import "strings"

// places says what the placeholder at the end of a path stands for: the name of
// a thing, or "=" and a text. Longer paths come before shorter ones; a path
// that is not here takes the value of the longest one that it ends with.
func (w *World) placeholders() map[string]string {
	out := map[string]string{
		"cinder /v3/attachments/{id}": "attachment", "cinder /v3/backups/{id}": "backup", "cinder /v3/capabilities/{host}": "=sim-1",
		"cinder /v3/cgsnapshots/{id}": "group snapshot", "cinder /v3/clusters/{name}": "=none", "cinder /v3/consistencygroups/{id}": "volume group",
		"cinder /v3/default-types/{project}": "=" + w.Third, "cinder /v3/group_snapshots/{id}": "group snapshot", "cinder /v3/group_types/{id}": "group type",
		"cinder /v3/group_types/{id}/group_specs/{key}": "=a", "cinder /v3/groups/{id}": "volume group", "cinder /v3/messages/{id}": "message",
		"cinder /v3/os-hosts/{host}": "=sim-1", "cinder /v3/os-quota-class-sets/{id}": "=default", "cinder /v3/os-quota-sets/{id}": "=" + w.Project,
		"cinder /v3/os-volume-transfer/{id}": "transfer", "cinder /v3/volume-transfers/{id}": "transfer", "cinder /v3/qos-specs/{id}": "volume qos",
		"cinder /v3/snapshots/{id}": "snapshot", "cinder /v3/snapshots/{id}/metadata/{key}": "=a", "cinder /v3/types/{id}": "volume type",
		"cinder /v3/types/{id}/encryption/{key}": "=provider", "cinder /v3/types/{id}/extra_specs/{key}": "=a", "cinder /v3/volumes/{id}": "volume",
		"cinder /v3/volumes/{id}/encryption/{key}": "=encryption_key_id", "cinder /v3/volumes/{id}/metadata/{key}": "=a",

		"glance /v2/cache/{id}": "image", "glance /v2/images/{id}": "image", "glance /v2/images/{id}/members/{member}": "=" + w.Third, "glance /v2/images/{id}/tags/{tag}": "=blue",
		"glance /v2/metadefs/namespaces/{namespace}": "=Ns", "glance /v2/metadefs/namespaces/{namespace}/objects/{name}": "=thing",
		"glance /v2/metadefs/namespaces/{namespace}/properties/{name}": "=size", "glance /v2/metadefs/namespaces/{namespace}/tags/{name}": "=blue",
		"glance /v2/metadefs/namespaces/{namespace}/resource_types/{name}": "=OS::Nova::Flavor",
		"glance /v2/stores/{store}":                                        "image store", "glance /v2/stores/{store}/{id}": "image", "glance /v2/tasks/{id}": "image task",

		"keystone /v2.0/OS-KSADM/roles/{id}": "role", "keystone /v2.0/OS-KSADM/services/{id}": "service", "keystone /v2.0/OS-KSCRUD/users/{id}": "old user",
		"keystone /v2.0/endpoints/{id}": "endpoint", "keystone /v2.0/extensions/{alias}": "=OS-KSADM", "keystone /v2.0/tenants/{id}": "tenant",
		"keystone /v2.0/tenants/{id}/users/{user}": "old user", "keystone /v2.0/tenants/{id}/users/{user}/roles/OS-KSADM/{role}": "role",
		"keystone /v2.0/tokens/{token}": "old token", "keystone /v2.0/users/{id}": "old user", "keystone /v2.0/users/{user}": "old user",
		"keystone /v2.0/users/{user}/credentials/OS-EC2/{access}": "old ec2",
		"keystone /v3/OS-EP-FILTER/endpoint_groups/{id}":          "endpoint group", "keystone {project}": "=" + w.Project, "keystone {domain}": "=" + w.Domain,
		"keystone /v3/OS-EP-FILTER/endpoint_groups/{id}/projects/{project}": "=" + w.Third,
		"keystone /v3/OS-EP-FILTER/projects/{project}":                      "=" + w.Third, "keystone {endpoint}": "endpoint", "keystone {user}": "=" + w.m.UserID,
		"keystone {group}": "group", "keystone {idp}": "=idp", "keystone {protocol}": "=saml2", "keystone {role}": "role", "keystone {service}": "service", "keystone {region}": "region",
		"keystone /v3/OS-FEDERATION/identity_providers/{id}": "=idp", "keystone /v3/OS-FEDERATION/mappings/{id}": "=mapping",
		"keystone /v3/OS-FEDERATION/service_providers/{id}": "=sp",
		"keystone /v3/OS-OAUTH1/authorize/{token}":          "=none", "keystone /v3/OS-OAUTH1/consumers/{id}": "consumer", "keystone /v3/OS-TRUST/trusts/{id}": "trust",
		"keystone /v3/OS-TRUST/trusts/{id}/roles/{role}": "=" + w.Roles["member"], "keystone /v3/credentials/{id}": "credential",
		"keystone /v3/domains/config/{group}": "=ldap", "keystone /v3/domains/config/{group}/{option}": "=url", "keystone /v3/domains/{id}": "=" + w.Domain,
		"keystone /v3/domains/{id}/config/security_compliance/{option}": "=password_regex", "keystone /v3/domains/{id}/config/{group}": "=ldap",
		"keystone /v3/domains/{id}/config/{group}/{option}": "=url", "keystone /v3/endpoints/{id}": "endpoint", "keystone /v3/groups/{id}": "group",
		"keystone /v3/limits/{id}": "limit", "keystone /v3/policies/{id}": "policy", "keystone /v3/projects/{id}": "=" + w.Project,
		"keystone /v3/projects/{id}/tags/{tag}": "=blue", "keystone /v3/regions/{id}": "region", "keystone /v3/registered_limits/{id}": "registered limit",
		"keystone /v3/roles/{id}": "role", "keystone /v3/roles/{id}/implies/{implied}": "implied role", "keystone /v3/services/{id}": "service",
		"keystone /v3/users/{id}": "=" + w.m.UserID, "keystone /v3/users/{user}/OS-OAUTH1/access_tokens/{id}": "access token",
		"keystone /v3/users/{user}/access_rules/{id}": "access rule", "keystone /v3/users/{user}/application_credentials/{id}": "application credential",
		"keystone /v3/users/{user}/credentials/OS-EC2/{access}": "ec2",

		"neutron {tag}": "=blue", "neutron /v2.0/auto-allocated-topology/{project}": "=" + w.Project, "neutron /v2.0/address-groups/{id}": "address group", "neutron /v2.0/address-scopes/{id}": "address scope",
		"neutron /v2.0/agents/{id}": "agent", "neutron /v2.0/default-security-group-rules/{id}": "default rule", "neutron /v2.0/extensions/{alias}": "=router",
		"neutron /v2.0/floatingips/{floating}": "floating ip", "neutron /v2.0/floatingips/{floating}/port_forwardings/{id}": "port forwarding",
		"neutron /v2.0/floatingips/{id}": "floating ip", "neutron /v2.0/network-ip-availabilities/{id}": "network", "neutron /v2.0/networks/{id}": "network",
		"neutron /v2.0/ports/{id}": "port", "neutron /v2.0/ports/{id}/bindings/{host}": "host", "neutron /v2.0/qos/alias_bandwidth_limit_rules/{id}": "bandwidth rule",
		"neutron /v2.0/qos/alias_dscp_marking_rules/{id}": "dscp rule", "neutron /v2.0/qos/policies/{id}": "qos", "neutron /v2.0/qos/policies/{policy}": "qos",
		"neutron /v2.0/qos/policies/{policy}/bandwidth_limit_rules/{id}": "bandwidth rule", "neutron /v2.0/qos/policies/{policy}/dscp_marking_rules/{id}": "dscp rule",
		"neutron /v2.0/qos/rule-types/{type}": "=bandwidth_limit", "neutron /v2.0/quotas/{project}": "=" + w.Project, "neutron /v2.0/rbac-policies/{id}": "sharing",
		"neutron /v2.0/routers/{id}": "router", "neutron /v2.0/security-group-rules/{id}": "security group rule", "neutron /v2.0/security-groups/{id}": "security group",
		"neutron /v2.0/security-groups-default-statefulness/{id}": "statefulness",
		"neutron /v2.0/subnetpools/{id}":                          "subnet pool", "neutron /v2.0/subnets/{id}": "subnet", "neutron /v2.0/trunks/{id}": "trunk",

		"nova /v2.1/extensions/{alias}": "=servers", "nova /v2.1/flavors/{id}": "=f1", "nova /v2.1/flavors/{id}/os-extra_specs/{key}": "=hw:cpu_policy",
		"nova /v2.1/images/{id}": "image", "nova /v2.1/images/{id}/metadata/{key}": "=colour", "nova /v2.1/os-aggregates/{id}": "aggregate",
		"nova /v2.1/os-console-auth-tokens/{token}": "console", "nova /v2.1/os-floating-ips/{id}": "floating ip", "nova /v2.1/os-hosts/{id}": "host",
		"nova /v2.1/os-hypervisors/{id}": "hypervisor", "nova /v2.1/os-hypervisors/{id}/search#": "host", "nova /v2.1/os-hypervisors/{id}/servers#": "host",
		"nova /v2.1/os-instance_usage_audit_log/{before}": "=2026-01-01 00:00:00",
		"nova /v2.1/os-keypairs/{name}":                   "=key", "nova /v2.1/os-networks/{id}": "network", "nova /v2.1/os-tenant-networks/{id}": "network",
		"nova /v2.1/os-quota-class-sets/{id}": "=default", "nova /v2.1/os-quota-sets/{id}": "=" + w.Project, "nova /v2.1/os-security-group-rules/{id}": "security group rule",
		"nova /v2.1/os-security-groups/{id}": "security group", "nova /v2.1/os-server-groups/{id}": "server group", "nova /v2.1/os-services/{id}": "compute service",
		"nova /v2.1/os-simple-tenant-usage/{project}": "=" + w.Project, "nova /v2.1/os-snapshots/{id}": "snapshot", "nova /v2.1/os-volumes/{id}": "volume",
		"nova /v2.1/os-volumes_boot/{id}": "server", "nova /v2.1/servers/{id}": "server", "nova /v2.1/servers/{id}/consoles/{console}": "=1",
		"nova /v2.1/servers/{id}/ips/{label}": "=lan", "nova /v2.1/servers/{id}/metadata/{key}": "=a", "nova /v2.1/servers/{id}/migrations/{migration}": "=1",
		"nova /v2.1/servers/{id}/os-instance-actions/{request}": "action", "nova /v2.1/servers/{id}/os-interface/{port}": "port",
		"nova /v2.1/servers/{id}/os-volume_attachments/{volume}": "volume", "nova /v2.1/servers/{id}/tags/{tag}": "=blue",

		"placement /allocations/{consumer}": "server", "placement /resource_classes/{name}": "=CUSTOM_GOLD", "placement /resource_providers/{uuid}": "provider",
		"placement {class}": "=CUSTOM_GOLD", "placement /traits/{name}": "=CUSTOM_FAST",
		"swift {account}": "=AUTH_" + w.Project, "swift {container}": "=box", "swift {object...}": "=thing",
		"swift-s3 {bucket}": "=bucket", "swift-s3 {key}": "=thing",
	}
	return out
}

// Path gives the address of a route's object below the service's prefix, with
// the values of its placeholders; missing says that some stand for nothing.
func (w *World) Path(service, pattern string) (path string, values []string, missing bool) {
	if w.places == nil {
		w.places = w.placeholders()
	}
	segs := strings.Split(pattern, "/")
	for i, seg := range segs {
		if !strings.HasPrefix(seg, "{") {
			continue
		}
		what, ok := w.places[service+" "+pattern+"#"]
		if !ok {
			what, ok = w.places[service+" "+strings.Join(strings.Split(pattern, "/")[:i+1], "/")]
		}
		if !ok {
			what, ok = w.places[service+" "+seg]
		}
		value, literal := strings.CutPrefix(what, "=")
		if ok && !literal {
			value = w.Things[what]
		}
		if value == "" {
			value, missing = "none", true
		}
		segs[i] = value
		values = append(values, value)
	}
	return strings.Join(segs, "/"), values, missing
}
