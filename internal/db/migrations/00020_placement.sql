-- +goose Up
-- one row: raised by every change, and locked by it, so that changes are in order
CREATE TABLE placement_revision (
    id bigint PRIMARY KEY,
    revision bigint NOT NULL
);
INSERT INTO placement_revision (id, revision) VALUES (1, 1);

CREATE TABLE placement_providers (
    uuid text PRIMARY KEY,
    name text NOT NULL UNIQUE,
    parent text NOT NULL,      -- empty: a root
    root text NOT NULL,        -- its own uuid: a root
    generation bigint NOT NULL,
    revision bigint NOT NULL,  -- of the last change to it or to what hangs on it
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE INDEX placement_providers_root ON placement_providers (root);
CREATE INDEX placement_providers_revision ON placement_providers (revision);

-- providers that are gone, for indexes in memory that have not seen it yet
CREATE TABLE placement_gone (
    uuid text PRIMARY KEY,
    revision bigint NOT NULL
);
CREATE INDEX placement_gone_revision ON placement_gone (revision);

CREATE TABLE placement_inventories (
    provider text NOT NULL REFERENCES placement_providers (uuid),
    class text NOT NULL,
    total bigint NOT NULL,
    reserved bigint NOT NULL,
    min_unit bigint NOT NULL,
    max_unit bigint NOT NULL,
    step_size bigint NOT NULL,
    allocation_ratio text NOT NULL, -- decimal
    PRIMARY KEY (provider, class)
);
CREATE INDEX placement_inventories_class ON placement_inventories (class);

CREATE TABLE placement_consumers (
    uuid text PRIMARY KEY,
    project_id text NOT NULL,
    user_id text NOT NULL,
    type text NOT NULL,        -- empty: not said
    generation bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE INDEX placement_consumers_project ON placement_consumers (project_id, user_id);

CREATE TABLE placement_allocations (
    consumer text NOT NULL REFERENCES placement_consumers (uuid),
    provider text NOT NULL REFERENCES placement_providers (uuid),
    class text NOT NULL,
    used bigint NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (consumer, provider, class)
);
CREATE INDEX placement_allocations_provider ON placement_allocations (provider, class);

CREATE TABLE placement_provider_traits (
    provider text NOT NULL REFERENCES placement_providers (uuid),
    trait text NOT NULL,
    PRIMARY KEY (provider, trait)
);
CREATE INDEX placement_provider_traits_trait ON placement_provider_traits (trait);

CREATE TABLE placement_provider_aggregates (
    provider text NOT NULL REFERENCES placement_providers (uuid),
    aggregate text NOT NULL,
    PRIMARY KEY (provider, aggregate)
);

-- names that users made; the standard ones are part of the program
CREATE TABLE placement_classes (
    name text PRIMARY KEY,
    created_at bigint NOT NULL
);
CREATE TABLE placement_traits (
    name text PRIMARY KEY,
    created_at bigint NOT NULL
);

-- +goose Down
DROP TABLE placement_traits;
DROP TABLE placement_classes;
DROP TABLE placement_provider_aggregates;
DROP TABLE placement_provider_traits;
DROP TABLE placement_allocations;
DROP TABLE placement_consumers;
DROP TABLE placement_inventories;
DROP TABLE placement_gone;
DROP TABLE placement_providers;
DROP TABLE placement_revision;
