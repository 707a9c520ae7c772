-- +goose Up
-- Users whom an identity provider brings are known by its names for them; the
-- names that people read are not unique among those.
ALTER TABLE identity_users ADD COLUMN shadow boolean NOT NULL DEFAULT false;
DROP INDEX identity_users_name;
CREATE UNIQUE INDEX identity_users_name ON identity_users (domain_id, name) WHERE NOT shadow;
-- Lists of users ask for both kinds, which no partial index serves.
CREATE INDEX identity_users_listed ON identity_users (domain_id, name);

CREATE TABLE identity_federated_users (
    id          text PRIMARY KEY,
    user_id     text NOT NULL REFERENCES identity_users (id) ON DELETE CASCADE,
    provider_id text NOT NULL REFERENCES identity_providers (id) ON DELETE CASCADE,
    protocol_id text NOT NULL,
    unique_id   text NOT NULL
);
CREATE UNIQUE INDEX identity_federated_users_name ON identity_federated_users (provider_id, protocol_id, unique_id);
CREATE INDEX identity_federated_users_user ON identity_federated_users (user_id);

CREATE TABLE identity_expiring_memberships (
    user_id     text   NOT NULL REFERENCES identity_users (id) ON DELETE CASCADE,
    group_id    text   NOT NULL REFERENCES identity_groups (id) ON DELETE CASCADE,
    provider_id text   NOT NULL REFERENCES identity_providers (id) ON DELETE CASCADE,
    expires_at  bigint NOT NULL,
    PRIMARY KEY (user_id, group_id, provider_id)
);
CREATE INDEX identity_expiring_memberships_group ON identity_expiring_memberships (group_id);
CREATE INDEX identity_expiring_memberships_provider ON identity_expiring_memberships (provider_id);
CREATE INDEX identity_expiring_memberships_end ON identity_expiring_memberships (expires_at);

-- Assertions that were taken, until nobody would take them any more.
CREATE TABLE identity_assertions_taken (
    id    text   PRIMARY KEY,
    until bigint NOT NULL
);
CREATE INDEX identity_assertions_taken_until ON identity_assertions_taken (until);

CREATE TABLE identity_saml_keys (
    id          text   PRIMARY KEY,
    certificate text   NOT NULL,
    sealed      text   NOT NULL,
    created_at  bigint NOT NULL
);

-- +goose Down
DELETE FROM identity_users WHERE shadow; -- the program before knows no user without a name of his own
DROP TABLE identity_saml_keys;
DROP TABLE identity_assertions_taken;
DROP TABLE identity_expiring_memberships;
DROP TABLE identity_federated_users;
DROP INDEX identity_users_listed;
DROP INDEX identity_users_name;
CREATE UNIQUE INDEX identity_users_name ON identity_users (domain_id, name);
ALTER TABLE identity_users DROP COLUMN shadow;
