-- +goose Up
CREATE TABLE compute_servers (
    id text PRIMARY KEY,
    serial bigint NOT NULL,
    project_id text NOT NULL,
    user_id text NOT NULL,
    name text NOT NULL,
    hostname text NOT NULL,
    description text NOT NULL,
    host text NOT NULL,
    zone text NOT NULL,
    status text NOT NULL,
    vm_state text NOT NULL,
    task_state text NOT NULL,
    power_state bigint NOT NULL,
    image_id text NOT NULL,
    flavor_id text NOT NULL,
    vcpus bigint NOT NULL,
    memory_mib bigint NOT NULL,
    disk_gib bigint NOT NULL,
    key_name text NOT NULL,
    reservation_id text NOT NULL,
    launch_index bigint NOT NULL,
    group_id text NOT NULL,
    config_drive boolean NOT NULL,
    locked boolean NOT NULL,
    progress bigint NOT NULL,
    access_ip_v4 text NOT NULL,
    access_ip_v6 text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    launched_at bigint NOT NULL,
    defined boolean NOT NULL,   -- part of what its host should have
    data text NOT NULL          -- everything, as JSON
);
CREATE INDEX compute_servers_project ON compute_servers (project_id, created_at, id);
CREATE INDEX compute_servers_created ON compute_servers (created_at, id);
CREATE INDEX compute_servers_updated ON compute_servers (updated_at);
CREATE INDEX compute_servers_group ON compute_servers (group_id);
CREATE INDEX compute_servers_host ON compute_servers (host);

CREATE TABLE compute_server_tags (
    server text NOT NULL REFERENCES compute_servers (id) ON DELETE CASCADE,
    tag text NOT NULL,
    PRIMARY KEY (server, tag)
);
CREATE INDEX compute_server_tags_tag ON compute_server_tags (tag);

-- block device mappings
CREATE TABLE compute_disks (
    id text PRIMARY KEY,        -- of the attachment
    server text NOT NULL REFERENCES compute_servers (id) ON DELETE CASCADE,
    position bigint NOT NULL,
    volume_id text NOT NULL,    -- empty: a disk of the guest's own
    image_id text NOT NULL,
    state text NOT NULL,
    defined boolean NOT NULL,
    data text NOT NULL
);
CREATE INDEX compute_disks_server ON compute_disks (server);
CREATE INDEX compute_disks_volume ON compute_disks (volume_id);

CREATE TABLE compute_nics (
    port_id text PRIMARY KEY,
    server text NOT NULL REFERENCES compute_servers (id) ON DELETE CASCADE,
    position bigint NOT NULL,
    network_id text NOT NULL,
    addresses text NOT NULL,    -- fixed ones, between blanks
    defined boolean NOT NULL,
    data text NOT NULL
);
CREATE INDEX compute_nics_server ON compute_nics (server);

CREATE TABLE compute_actions (
    id text PRIMARY KEY,
    server text NOT NULL, -- no reference: the log outlives its server
    action text NOT NULL,
    request_id text NOT NULL,
    user_id text NOT NULL,
    project_id text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    message text NOT NULL
);
CREATE INDEX compute_actions_server ON compute_actions (server, created_at);
CREATE TABLE compute_action_events (
    id text PRIMARY KEY,
    action text NOT NULL REFERENCES compute_actions (id) ON DELETE CASCADE,
    event text NOT NULL,
    host text NOT NULL,
    created_at bigint NOT NULL,
    finished_at bigint NOT NULL,
    result text NOT NULL,
    details text NOT NULL
);
CREATE INDEX compute_action_events_action ON compute_action_events (action);

-- moves of servers: resizes, migrations, evacuations; like the log they outlive their server
CREATE TABLE compute_migrations (
    id text PRIMARY KEY,        -- also the consumer of what the place it leaves still holds
    serial bigint NOT NULL UNIQUE,
    server text NOT NULL,
    project_id text NOT NULL,
    user_id text NOT NULL,
    kind text NOT NULL,
    status text NOT NULL,
    source_host text NOT NULL,
    dest_host text NOT NULL,
    kept_host text NOT NULL,    -- the host that keeps a stopped guest to go back to; empty: none
    unsettled boolean NOT NULL, -- in flight, or not yet confirmed or reverted
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    data text NOT NULL
);
CREATE INDEX compute_migrations_server ON compute_migrations (server);
CREATE INDEX compute_migrations_kept ON compute_migrations (kept_host);
CREATE INDEX compute_migrations_created ON compute_migrations (created_at, id);

-- servers that are gone, for usage reports
CREATE TABLE compute_ended_servers (
    id text PRIMARY KEY,
    project_id text NOT NULL,
    launched_at bigint NOT NULL,
    ended_at bigint NOT NULL,
    data text NOT NULL
);
CREATE INDEX compute_ended_servers_project ON compute_ended_servers (project_id, ended_at);
CREATE INDEX compute_ended_servers_ended ON compute_ended_servers (ended_at);

-- +goose Down
DROP TABLE compute_ended_servers;
DROP TABLE compute_migrations;
DROP TABLE compute_action_events;
DROP TABLE compute_actions;
DROP TABLE compute_nics;
DROP TABLE compute_disks;
DROP TABLE compute_server_tags;
DROP TABLE compute_servers;
