-- +goose Up
CREATE TABLE compute_flavors (
    id text PRIMARY KEY,
    name text NOT NULL UNIQUE,
    description text NOT NULL,
    described boolean NOT NULL,
    vcpus bigint NOT NULL,
    memory_mib bigint NOT NULL,
    root_gib bigint NOT NULL,
    ephem_gib bigint NOT NULL,
    swap_mib bigint NOT NULL,
    rxtx_factor text NOT NULL,
    is_public boolean NOT NULL,
    disabled boolean NOT NULL,
    extra_specs text NOT NULL,
    created_at bigint NOT NULL
);
CREATE TABLE compute_flavor_access (
    flavor text NOT NULL REFERENCES compute_flavors (id) ON DELETE CASCADE,
    project_id text NOT NULL,
    PRIMARY KEY (flavor, project_id)
);
CREATE TABLE compute_keypairs (
    id text PRIMARY KEY,
    serial bigint NOT NULL,
    user_id text NOT NULL,
    name text NOT NULL,
    type text NOT NULL,
    public_key text NOT NULL,
    fingerprint text NOT NULL,
    created_at bigint NOT NULL,
    UNIQUE (user_id, name)
);
CREATE TABLE compute_hosts (
    id text PRIMARY KEY,
    serial bigint NOT NULL,
    service_id text NOT NULL UNIQUE,
    name text NOT NULL UNIQUE,
    zone text NOT NULL,
    facts text NOT NULL,
    disabled boolean NOT NULL,
    disabled_reason text NOT NULL,
    forced_down boolean NOT NULL,
    seen_at bigint NOT NULL,
    created_at bigint NOT NULL
);
CREATE TABLE compute_console_tokens (
    hash text PRIMARY KEY,
    server_id text NOT NULL,
    build bigint NOT NULL,
    kind text NOT NULL,
    expires_at bigint NOT NULL,
    used boolean NOT NULL
);
CREATE INDEX compute_console_tokens_expiry ON compute_console_tokens (expires_at);
CREATE TABLE compute_server_groups (
    id text PRIMARY KEY,
    project_id text NOT NULL,
    user_id text NOT NULL,
    name text NOT NULL,
    policy text NOT NULL,
    max_per_host bigint NOT NULL,
    created_at bigint NOT NULL
);
CREATE INDEX compute_server_groups_project ON compute_server_groups (project_id);
CREATE TABLE compute_aggregates (
    id text PRIMARY KEY,
    serial bigint NOT NULL UNIQUE,
    name text NOT NULL,
    zone text NOT NULL,
    hosts text NOT NULL,
    metadata text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

-- +goose Down
DROP TABLE compute_aggregates;
DROP TABLE compute_server_groups;
DROP TABLE compute_console_tokens;
DROP TABLE compute_hosts;
DROP TABLE compute_keypairs;
DROP TABLE compute_flavor_access;
DROP TABLE compute_flavors;
