-- +goose Up
CREATE TABLE identity_providers (
    id                text PRIMARY KEY,
    domain_id         text NOT NULL REFERENCES identity_projects (id) ON DELETE CASCADE,
    enabled           boolean NOT NULL,
    description       text,
    authorization_ttl bigint,
    created_at        bigint NOT NULL
);
CREATE INDEX identity_providers_domain ON identity_providers (domain_id);

CREATE TABLE identity_provider_names (
    remote_id   text PRIMARY KEY,
    provider_id text NOT NULL REFERENCES identity_providers (id) ON DELETE CASCADE
);
CREATE INDEX identity_provider_names_provider ON identity_provider_names (provider_id);

-- A protocol may outlive its mapping, as upstream's do.
CREATE TABLE identity_protocols (
    id                  text PRIMARY KEY,
    provider_id         text NOT NULL REFERENCES identity_providers (id) ON DELETE CASCADE,
    name                text NOT NULL,
    mapping_id          text NOT NULL,
    remote_id_attribute text,
    created_at          bigint NOT NULL
);
CREATE UNIQUE INDEX identity_protocols_name ON identity_protocols (provider_id, name);

CREATE TABLE identity_mappings (
    id             text PRIMARY KEY,
    rules          text NOT NULL,
    schema_version text NOT NULL,
    created_at     bigint NOT NULL
);

CREATE TABLE identity_service_providers (
    id                 text PRIMARY KEY,
    auth_url           text NOT NULL,
    sp_url             text NOT NULL,
    relay_state_prefix text NOT NULL,
    description        text,
    enabled            boolean NOT NULL,
    created_at         bigint NOT NULL
);

-- +goose Down
DROP TABLE identity_service_providers;
DROP TABLE identity_mappings;
DROP TABLE identity_protocols;
DROP TABLE identity_provider_names;
DROP TABLE identity_providers;
