-- +goose Up
CREATE TABLE blockstorage_types (
    id text PRIMARY KEY,
    name text NOT NULL UNIQUE,
    description text NOT NULL,
    no_description boolean NOT NULL, -- shown as null
    is_public boolean NOT NULL,
    extra_specs text NOT NULL,
    qos_id text NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE blockstorage_type_access (
    id text PRIMARY KEY,     -- type and project
    type_id text NOT NULL REFERENCES blockstorage_types (id) ON DELETE CASCADE,
    project_id text NOT NULL
);
CREATE INDEX blockstorage_type_access_project ON blockstorage_type_access (project_id);

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
    error text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL       -- 0: never
);
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
    error text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE INDEX blockstorage_snapshots_project ON blockstorage_snapshots (project_id, created_at);
CREATE INDEX blockstorage_snapshots_volume ON blockstorage_snapshots (volume_id);
CREATE INDEX blockstorage_snapshots_host ON blockstorage_snapshots (host);

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

-- hosts that an operator closed for new volumes
CREATE TABLE blockstorage_closed_hosts (
    host text PRIMARY KEY,
    reason text NOT NULL,
    closed_at bigint NOT NULL
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
DROP TABLE blockstorage_closed_hosts;
DROP TABLE blockstorage_transfers;
DROP TABLE blockstorage_attachments;
DROP TABLE blockstorage_labels;
DROP TABLE blockstorage_snapshots;
DROP TABLE blockstorage_volumes;
DROP TABLE blockstorage_default_types;
DROP TABLE blockstorage_type_access;
DROP TABLE blockstorage_types;
