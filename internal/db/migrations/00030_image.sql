-- +goose Up
CREATE TABLE image_images (
    id text PRIMARY KEY,
    name text NOT NULL,
    named boolean NOT NULL,
    owner text NOT NULL,
    status text NOT NULL,
    visibility text NOT NULL,
    disk_format text NOT NULL,
    container_format text NOT NULL,
    content text NOT NULL,
    size bigint NOT NULL,
    virtual_size bigint NOT NULL,
    min_disk bigint NOT NULL,
    min_ram bigint NOT NULL,
    checksum text NOT NULL,
    hash_value text NOT NULL,
    protected boolean NOT NULL,
    hidden boolean NOT NULL,
    tags text NOT NULL,
    properties text NOT NULL,
    transfer text NOT NULL,
    transfer_seen bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE INDEX image_images_owner ON image_images (owner, created_at, id);
CREATE INDEX image_images_visibility ON image_images (visibility, created_at, id);
CREATE INDEX image_images_created ON image_images (created_at, id);
CREATE INDEX image_images_status ON image_images (status);
CREATE INDEX image_images_name ON image_images (name);

CREATE TABLE image_tags (
    image_id text NOT NULL REFERENCES image_images (id) ON DELETE CASCADE,
    tag text NOT NULL,
    PRIMARY KEY (image_id, tag)
);
CREATE INDEX image_tags_tag ON image_tags (tag);

CREATE TABLE image_properties (
    image_id text NOT NULL REFERENCES image_images (id) ON DELETE CASCADE,
    name text NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (image_id, name)
);

CREATE TABLE image_members (
    id text PRIMARY KEY,
    image_id text NOT NULL REFERENCES image_images (id) ON DELETE CASCADE,
    member_id text NOT NULL,
    status text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    UNIQUE (image_id, member_id)
);
CREATE INDEX image_members_member ON image_members (member_id, status);

CREATE TABLE image_tasks (
    id text PRIMARY KEY,
    image_id text NOT NULL,
    owner text NOT NULL,
    user_id text NOT NULL,
    request_id text NOT NULL,
    type text NOT NULL,
    status text NOT NULL,
    message text NOT NULL,
    input text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE INDEX image_tasks_image ON image_tasks (image_id, created_at);
CREATE INDEX image_tasks_owner ON image_tasks (owner, created_at);

CREATE TABLE image_namespaces (
    id text PRIMARY KEY,
    name text NOT NULL UNIQUE,
    display_name text NOT NULL,
    description text NOT NULL,
    visibility text NOT NULL,
    protected boolean NOT NULL,
    owner text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE INDEX image_namespaces_created ON image_namespaces (created_at, id);

CREATE TABLE image_definitions (
    id text PRIMARY KEY,
    namespace_id text NOT NULL REFERENCES image_namespaces (id) ON DELETE CASCADE,
    kind text NOT NULL,
    name text NOT NULL,
    body text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    UNIQUE (namespace_id, kind, name)
);
CREATE INDEX image_definitions_kind ON image_definitions (kind, name);

-- +goose Down
DROP TABLE image_definitions;
DROP TABLE image_namespaces;
DROP TABLE image_tasks;
DROP TABLE image_members;
DROP TABLE image_properties;
DROP TABLE image_tags;
DROP TABLE image_images;
