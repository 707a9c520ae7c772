-- +goose Up
CREATE TABLE network_networks (
    id text PRIMARY KEY,
    project_id text NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    revision bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    tags text NOT NULL,
    admin_state_up boolean NOT NULL,
    shared boolean NOT NULL,
    external boolean NOT NULL,
    is_default boolean NOT NULL,
    port_security boolean NOT NULL,
    mtu bigint NOT NULL,
    network_type text NOT NULL,
    physical_network text NOT NULL,
    segmentation_id bigint NOT NULL,
    dns_domain text NOT NULL,
    qos_policy_id text NOT NULL,
    zone_hints text NOT NULL
);
CREATE INDEX network_networks_project ON network_networks (project_id);
CREATE INDEX network_networks_name ON network_networks (name);
-- one network per segment of a physical network, or of the cloud's own tunnels
CREATE UNIQUE INDEX network_networks_segment ON network_networks (network_type, physical_network, segmentation_id);

CREATE TABLE network_subnets (
    id text PRIMARY KEY,
    project_id text NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    revision bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    tags text NOT NULL,
    network_id text NOT NULL REFERENCES network_networks (id),
    ip_version bigint NOT NULL,
    cidr text NOT NULL,
    gateway_ip text NOT NULL,
    enable_dhcp boolean NOT NULL,
    ra_mode text NOT NULL,
    address_mode text NOT NULL,
    pools text NOT NULL,
    dns_nameservers text NOT NULL,
    host_routes text NOT NULL,
    service_types text NOT NULL,
    pool_id text NOT NULL
);
CREATE INDEX network_subnets_network ON network_subnets (network_id);
CREATE INDEX network_subnets_project ON network_subnets (project_id);

CREATE TABLE network_ports (
    id text PRIMARY KEY,
    project_id text NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    revision bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    tags text NOT NULL,
    network_id text NOT NULL REFERENCES network_networks (id),
    admin_state_up boolean NOT NULL,
    status text NOT NULL,
    mac_address text NOT NULL,
    device_id text NOT NULL,
    device_owner text NOT NULL,
    port_security boolean NOT NULL,
    address_pairs text NOT NULL,
    dhcp_options text NOT NULL,
    host text NOT NULL,
    vnic_type text NOT NULL,
    profile text NOT NULL,
    binding_revision bigint NOT NULL,
    planned boolean NOT NULL, -- made by compute for a server, and deleted with it
    dns_name text NOT NULL,
    dns_domain text NOT NULL,
    data_plane_status text NOT NULL,
    mac_learning boolean NOT NULL,
    uplink_status boolean NOT NULL,
    qos_policy_id text NOT NULL,
    UNIQUE (network_id, mac_address)
);
CREATE INDEX network_ports_project ON network_ports (project_id);
CREATE INDEX network_ports_device ON network_ports (device_id);
CREATE INDEX network_ports_host ON network_ports (host);

CREATE TABLE network_addresses (
    subnet_id text NOT NULL REFERENCES network_subnets (id),
    address text NOT NULL,
    port_id text NOT NULL REFERENCES network_ports (id) ON DELETE CASCADE,
    position bigint NOT NULL,
    PRIMARY KEY (subnet_id, address)
);
CREATE INDEX network_addresses_port ON network_addresses (port_id);
CREATE INDEX network_addresses_address ON network_addresses (address);

CREATE TABLE network_groups (
    id text PRIMARY KEY,
    project_id text NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    revision bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    tags text NOT NULL,
    stateful boolean NOT NULL
);
CREATE INDEX network_groups_project ON network_groups (project_id);

CREATE TABLE network_default_groups (
    project_id text PRIMARY KEY,
    group_id text NOT NULL REFERENCES network_groups (id) ON DELETE CASCADE
);

CREATE TABLE network_rules (
    id text PRIMARY KEY,
    project_id text NOT NULL,
    description text NOT NULL,
    revision bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    group_id text NOT NULL REFERENCES network_groups (id) ON DELETE CASCADE,
    direction text NOT NULL,
    ethertype text NOT NULL,
    protocol text NOT NULL,
    port_min bigint NOT NULL, -- -1: none
    port_max bigint NOT NULL,
    remote_group_id text NOT NULL,
    remote_ip_prefix text NOT NULL,
    address_group_id text NOT NULL,
    UNIQUE (group_id, direction, ethertype, protocol, port_min, port_max, remote_group_id, remote_ip_prefix, address_group_id)
);
CREATE INDEX network_rules_project ON network_rules (project_id);
CREATE INDEX network_rules_remote ON network_rules (remote_group_id);

CREATE TABLE network_port_groups (
    port_id text NOT NULL REFERENCES network_ports (id) ON DELETE CASCADE,
    group_id text NOT NULL REFERENCES network_groups (id),
    PRIMARY KEY (port_id, group_id)
);
CREATE INDEX network_port_groups_group ON network_port_groups (group_id);

CREATE TABLE network_routers (
    id text PRIMARY KEY,
    project_id text NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    revision bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    tags text NOT NULL,
    admin_state_up boolean NOT NULL,
    gateway_network_id text NOT NULL,
    gateway_port_id text NOT NULL,
    enable_snat boolean NOT NULL,
    routes text NOT NULL,
    gateway_qos_policy_id text NOT NULL,
    zone_hints text NOT NULL
);
CREATE INDEX network_routers_project ON network_routers (project_id);
CREATE INDEX network_routers_gateway ON network_routers (gateway_network_id);

CREATE TABLE network_floatings (
    id text PRIMARY KEY,
    project_id text NOT NULL,
    description text NOT NULL,
    revision bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    tags text NOT NULL,
    network_id text NOT NULL REFERENCES network_networks (id),
    own_port_id text NOT NULL,
    address text NOT NULL,
    port_id text NOT NULL,
    fixed_address text NOT NULL,
    router_id text NOT NULL,
    status text NOT NULL,
    dns_name text NOT NULL,
    dns_domain text NOT NULL,
    qos_policy_id text NOT NULL,
    UNIQUE (network_id, address)
);
CREATE INDEX network_floatings_project ON network_floatings (project_id);
CREATE INDEX network_floatings_port ON network_floatings (port_id);
CREATE INDEX network_floatings_router ON network_floatings (router_id);
-- an address of a port has at most one floating address of each external network
CREATE UNIQUE INDEX network_floatings_fixed ON network_floatings (network_id, port_id, fixed_address) WHERE port_id <> '';

CREATE TABLE network_tags (
    object text NOT NULL,
    tag text NOT NULL,
    PRIMARY KEY (object, tag)
);

CREATE INDEX network_subnets_pool ON network_subnets (pool_id);
CREATE INDEX network_rules_address_group ON network_rules (address_group_id);

-- which projects may use an object of another one
CREATE TABLE network_shares (
    id text PRIMARY KEY,
    project_id text NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    revision bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    tags text NOT NULL,
    object_type text NOT NULL,
    object_id text NOT NULL,
    action text NOT NULL,
    target text NOT NULL, -- a project, or *
    UNIQUE (object_id, action, target)
);
CREATE INDEX network_shares_project ON network_shares (project_id);

CREATE TABLE network_scopes (
    id text PRIMARY KEY,
    project_id text NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    revision bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    tags text NOT NULL,
    ip_version bigint NOT NULL
);
CREATE INDEX network_scopes_project ON network_scopes (project_id);

CREATE TABLE network_pools (
    id text PRIMARY KEY,
    project_id text NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    revision bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    tags text NOT NULL,
    prefixes text NOT NULL,
    ip_version bigint NOT NULL,
    default_bits bigint NOT NULL,
    min_bits bigint NOT NULL,
    max_bits bigint NOT NULL,
    quota bigint NOT NULL, -- 0: none
    scope_id text NOT NULL,
    is_default boolean NOT NULL
);
CREATE INDEX network_pools_project ON network_pools (project_id);
CREATE INDEX network_pools_scope ON network_pools (scope_id);

CREATE TABLE network_address_groups (
    id text PRIMARY KEY,
    project_id text NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    revision bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    tags text NOT NULL,
    addresses text NOT NULL
);
CREATE INDEX network_address_groups_project ON network_address_groups (project_id);

CREATE TABLE network_qos_policies (
    id text PRIMARY KEY,
    project_id text NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    revision bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    tags text NOT NULL,
    is_default boolean NOT NULL
);
CREATE INDEX network_qos_policies_project ON network_qos_policies (project_id);

CREATE TABLE network_qos_rules (
    id text PRIMARY KEY,
    project_id text NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    revision bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    tags text NOT NULL,
    policy_id text NOT NULL REFERENCES network_qos_policies (id) ON DELETE CASCADE,
    kind text NOT NULL,
    direction text NOT NULL,
    rate bigint NOT NULL, -- kbit/s, or the mark
    burst bigint NOT NULL,
    UNIQUE (policy_id, kind, direction)
);

CREATE TABLE network_trunks (
    id text PRIMARY KEY,
    project_id text NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    revision bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    tags text NOT NULL,
    port_id text NOT NULL UNIQUE REFERENCES network_ports (id),
    admin_state_up boolean NOT NULL
);
CREATE INDEX network_trunks_project ON network_trunks (project_id);

CREATE TABLE network_subports (
    port_id text PRIMARY KEY REFERENCES network_ports (id),
    trunk_id text NOT NULL REFERENCES network_trunks (id) ON DELETE CASCADE,
    segmentation_type text NOT NULL,
    segmentation_id bigint NOT NULL,
    created_at bigint NOT NULL,
    UNIQUE (trunk_id, segmentation_type, segmentation_id)
);

CREATE TABLE network_forwardings (
    id text PRIMARY KEY,
    project_id text NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    revision bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    tags text NOT NULL,
    floating_id text NOT NULL REFERENCES network_floatings (id),
    protocol text NOT NULL,
    port_id text NOT NULL,
    fixed_address text NOT NULL,
    internal_port bigint NOT NULL,
    internal_last bigint NOT NULL,
    external_port bigint NOT NULL,
    external_last bigint NOT NULL
);
CREATE INDEX network_forwardings_floating ON network_forwardings (floating_id);
CREATE INDEX network_forwardings_port ON network_forwardings (port_id);

-- the rules that new security groups begin with
CREATE TABLE network_rule_templates (
    id text PRIMARY KEY,
    project_id text NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    revision bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    tags text NOT NULL,
    direction text NOT NULL,
    ethertype text NOT NULL,
    protocol text NOT NULL,
    port_min bigint NOT NULL, -- -1: none
    port_max bigint NOT NULL,
    remote_group_id text NOT NULL,
    remote_ip_prefix text NOT NULL,
    address_group_id text NOT NULL,
    in_default boolean NOT NULL,
    in_others boolean NOT NULL
);

INSERT INTO network_rule_templates (id, project_id, name, description, revision, created_at, updated_at, tags, direction, ethertype, protocol, port_min, port_max, remote_group_id, remote_ip_prefix, address_group_id, in_default, in_others) VALUES
    ('00000000-0000-4000-8000-000000000001', '', '', 'Lets everything out.', 0, 0, 0, '[]', 'egress', 'IPv4', '', -1, -1, '', '', '', true, true),
    ('00000000-0000-4000-8000-000000000002', '', '', 'Lets everything out.', 0, 0, 0, '[]', 'egress', 'IPv6', '', -1, -1, '', '', '', true, true),
    ('00000000-0000-4000-8000-000000000003', '', '', 'Lets members of the group in.', 0, 0, 0, '[]', 'ingress', 'IPv4', '', -1, -1, 'PARENT', '', '', true, false),
    ('00000000-0000-4000-8000-000000000004', '', '', 'Lets members of the group in.', 0, 0, 0, '[]', 'ingress', 'IPv6', '', -1, -1, 'PARENT', '', '', true, false);

-- +goose Down
DROP TABLE network_rule_templates;
DROP TABLE network_forwardings;
DROP TABLE network_subports;
DROP TABLE network_trunks;
DROP TABLE network_qos_rules;
DROP TABLE network_qos_policies;
DROP TABLE network_address_groups;
DROP TABLE network_pools;
DROP TABLE network_scopes;
DROP TABLE network_shares;
DROP TABLE network_tags;
DROP TABLE network_floatings;
DROP TABLE network_routers;
DROP TABLE network_port_groups;
DROP TABLE network_rules;
DROP TABLE network_default_groups;
DROP TABLE network_groups;
DROP TABLE network_addresses;
DROP TABLE network_ports;
DROP TABLE network_subnets;
DROP TABLE network_networks;
