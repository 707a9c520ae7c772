-- +goose Up
CREATE TABLE blockstorage_types (
    id text PRIMARY KEY,
    name text NOT NULL UNIQUE,
    description text NOT NULL,
    no_description boolean NOT NULL, -- shown as null
    is_public boolean NOT NULL,
    extra_specs text NOT NULL,
    qos_id text NOT NULL,
    encryption text NOT NULL,      -- null as JSON: none
    created_at bigint NOT NULL
);

CREATE TABLE blockstorage_type_access (
    id text PRIMARY KEY,     -- type and project
    type_id text NOT NULL REFERENCES blockstorage_types (id) ON DELETE CASCADE,
    project_id text NOT NULL
);
CREATE INDEX blockstorage_type_access_project ON blockstorage_type_access (project_id);

CREATE TABLE blockstorage_qos (
    id text PRIMARY KEY,
    name text NOT NULL UNIQUE,
    consumer text NOT NULL,
    specs text NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE blockstorage_group_types (
    id text PRIMARY KEY,
    name text NOT NULL UNIQUE,
    description text NOT NULL,
    no_description boolean NOT NULL, -- shown as null
    is_public boolean NOT NULL,
    specs text NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE blockstorage_groups (
    id text PRIMARY KEY,
    project_id text NOT NULL,
    user_id text NOT NULL,
    name text NOT NULL,
    no_name boolean NOT NULL,
    description text NOT NULL,
    no_description boolean NOT NULL,
    type_id text NOT NULL REFERENCES blockstorage_group_types (id),
    volume_types text NOT NULL,      -- ids
    zone text NOT NULL,
    status text NOT NULL,
    from_group text NOT NULL,
    from_snapshot text NOT NULL,     -- group snapshot
    error text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE INDEX blockstorage_groups_project ON blockstorage_groups (project_id, created_at);
CREATE INDEX blockstorage_groups_type ON blockstorage_groups (type_id);

CREATE TABLE blockstorage_group_snapshots (
    id text PRIMARY KEY,
    project_id text NOT NULL,
    user_id text NOT NULL,
    group_id text NOT NULL,
    type_id text NOT NULL,
    name text NOT NULL,
    no_name boolean NOT NULL,
    description text NOT NULL,
    no_description boolean NOT NULL,
    status text NOT NULL,
    error text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE INDEX blockstorage_group_snapshots_project ON blockstorage_group_snapshots (project_id, created_at);
CREATE INDEX blockstorage_group_snapshots_group ON blockstorage_group_snapshots (group_id);

-- types that projects get when they name none
CREATE TABLE blockstorage_default_types (
    project_id text PRIMARY KEY,
    type_id text NOT NULL REFERENCES blockstorage_types (id)
);

CREATE TABLE blockstorage_volumes (
    id text PRIMARY KEY,
    project_id text NOT NULL,
    user_id text NOT NULL,
    name text NOT NULL,
    no_name boolean NOT NULL,        -- shown as null
    description text NOT NULL,
    no_description boolean NOT NULL, -- shown as null
    size bigint NOT NULL,            -- GiB
    status text NOT NULL,
    before text NOT NULL,            -- status before the operation under way
    type_id text NOT NULL,
    zone text NOT NULL,
    host text NOT NULL,              -- empty: none yet
    kept boolean NOT NULL,           -- the host shall have it
    move_to text NOT NULL,
    bootable boolean NOT NULL,
    multiattach boolean NOT NULL,
    read_only text NOT NULL,
    transient boolean NOT NULL,      -- not counted by quotas
    metadata text NOT NULL,
    image_meta text NOT NULL,
    snapshot_id text NOT NULL,
    source_volid text NOT NULL,
    image_id text NOT NULL,
    image_format text NOT NULL,
    backup_id text NOT NULL,         -- source
    relic_id text NOT NULL,          -- source: what was unmanaged
    group_id text NOT NULL,
    epoch bigint NOT NULL,           -- raised when the content is replaced
    rewrite text NOT NULL,           -- where the content of this epoch comes from while it is written
    migration text NOT NULL,         -- migration_status
    error text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL       -- 0: never
);
CREATE INDEX blockstorage_volumes_group ON blockstorage_volumes (group_id);
CREATE INDEX blockstorage_volumes_project ON blockstorage_volumes (project_id, created_at);
CREATE INDEX blockstorage_volumes_host ON blockstorage_volumes (host);
CREATE INDEX blockstorage_volumes_move ON blockstorage_volumes (move_to);
CREATE INDEX blockstorage_volumes_source ON blockstorage_volumes (source_volid);

CREATE TABLE blockstorage_snapshots (
    id text PRIMARY KEY,
    project_id text NOT NULL,
    user_id text NOT NULL,
    volume_id text NOT NULL,
    name text NOT NULL,
    no_name boolean NOT NULL,
    description text NOT NULL,
    no_description boolean NOT NULL,
    size bigint NOT NULL,
    status text NOT NULL,
    progress text NOT NULL,
    type_id text NOT NULL,
    host text NOT NULL,
    kept boolean NOT NULL,
    guest text NOT NULL,             -- server that had the volume open
    bootable boolean NOT NULL,
    metadata text NOT NULL,
    image_meta text NOT NULL,
    group_snapshot_id text NOT NULL,
    relic_id text NOT NULL,          -- an unmanaged snapshot it is made from; empty: the volume
    error text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE INDEX blockstorage_snapshots_group ON blockstorage_snapshots (group_snapshot_id);
CREATE INDEX blockstorage_snapshots_project ON blockstorage_snapshots (project_id, created_at);
CREATE INDEX blockstorage_snapshots_volume ON blockstorage_snapshots (volume_id);
CREATE INDEX blockstorage_snapshots_host ON blockstorage_snapshots (host);

-- what hosts keep, but volumes and snapshots no longer are
CREATE TABLE blockstorage_relics (
    id text PRIMARY KEY,             -- of the volume or snapshot that it was
    kind text NOT NULL,              -- volume, snapshot
    host text NOT NULL,
    size bigint NOT NULL,
    epoch bigint NOT NULL,
    volume_id text NOT NULL,         -- of a snapshot
    created_at bigint NOT NULL
);
CREATE INDEX blockstorage_relics_host ON blockstorage_relics (host);

CREATE TABLE blockstorage_backups (
    id text PRIMARY KEY,
    project_id text NOT NULL,
    user_id text NOT NULL,
    name text NOT NULL,
    no_name boolean NOT NULL,
    description text NOT NULL,
    no_description boolean NOT NULL,
    volume_id text NOT NULL,
    snapshot_id text NOT NULL,       -- it was taken of; empty: the volume
    parent_id text NOT NULL,         -- of an incremental backup
    size bigint NOT NULL,            -- GiB
    status text NOT NULL,
    container text NOT NULL,
    location text NOT NULL,          -- its name in the container
    service text NOT NULL,           -- driver that keeps it
    object_count bigint NOT NULL,
    zone text NOT NULL,
    host text NOT NULL,              -- that keeps the passing copy
    guest text NOT NULL,             -- server that had the volume open
    kept boolean NOT NULL,           -- the passing copy shall be there
    copied boolean NOT NULL,         -- and is
    metadata text NOT NULL,
    volume_facts text NOT NULL,      -- what the volume was, beside its content
    restoring text NOT NULL,         -- volume that is made from it
    error text NOT NULL,             -- fail_reason
    data_at bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE INDEX blockstorage_backups_project ON blockstorage_backups (project_id, created_at);
CREATE INDEX blockstorage_backups_volume ON blockstorage_backups (volume_id);
CREATE INDEX blockstorage_backups_parent ON blockstorage_backups (parent_id);
CREATE INDEX blockstorage_backups_host ON blockstorage_backups (host);
CREATE INDEX blockstorage_backups_location ON blockstorage_backups (container, location);

-- metadata again, for filters
CREATE TABLE blockstorage_labels (
    object_id text NOT NULL,
    kind text NOT NULL,              -- metadata, image
    name text NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (object_id, kind, name)
);
CREATE INDEX blockstorage_labels_value ON blockstorage_labels (kind, name, value);

CREATE TABLE blockstorage_attachments (
    id text PRIMARY KEY,
    volume_id text NOT NULL,
    project_id text NOT NULL,
    server_id text NOT NULL,
    host text NOT NULL,
    device text NOT NULL,
    status text NOT NULL,
    mode text NOT NULL,
    connector text NOT NULL,
    connected boolean NOT NULL,
    attached_at bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE INDEX blockstorage_attachments_volume ON blockstorage_attachments (volume_id);
CREATE INDEX blockstorage_attachments_project ON blockstorage_attachments (project_id, created_at);

CREATE TABLE blockstorage_transfers (
    id text PRIMARY KEY,
    name text NOT NULL,
    volume_id text NOT NULL UNIQUE,
    project_id text NOT NULL,
    salt text NOT NULL,
    crypt_hash text NOT NULL,
    no_snapshots boolean NOT NULL,
    created_at bigint NOT NULL
);

-- what an operator said of hosts; those without a row get new volumes
CREATE TABLE blockstorage_doors (
    host text PRIMARY KEY,
    disabled boolean NOT NULL,
    reason text NOT NULL,
    frozen boolean NOT NULL,
    changed_at bigint NOT NULL
);

-- why accepted work failed, for users
CREATE TABLE blockstorage_messages (
    id text PRIMARY KEY,
    project_id text NOT NULL,
    request_id text NOT NULL,
    kind text NOT NULL,
    resource_id text NOT NULL,
    event_id text NOT NULL,
    text text NOT NULL,
    created_at bigint NOT NULL
);
CREATE INDEX blockstorage_messages_project ON blockstorage_messages (project_id, created_at);

-- +goose Down
DROP TABLE blockstorage_messages;
DROP TABLE blockstorage_doors;
DROP TABLE blockstorage_transfers;
DROP TABLE blockstorage_attachments;
DROP TABLE blockstorage_labels;
DROP TABLE blockstorage_backups;
DROP TABLE blockstorage_relics;
DROP TABLE blockstorage_snapshots;
DROP TABLE blockstorage_volumes;
DROP TABLE blockstorage_default_types;
DROP TABLE blockstorage_group_snapshots;
DROP TABLE blockstorage_groups;
DROP TABLE blockstorage_group_types;
DROP TABLE blockstorage_qos;
DROP TABLE blockstorage_type_access;
DROP TABLE blockstorage_types;
