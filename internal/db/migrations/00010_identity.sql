-- +goose Up
-- Rows of the identity service. A domain is a project with is_domain. Foreign
-- keys do the cascades of a delete, so that they are part of its transaction.
CREATE TABLE identity_epoch (
    name       text PRIMARY KEY,
    generation bigint NOT NULL
);
INSERT INTO identity_epoch (name, generation) VALUES ('identity', 1);

CREATE TABLE identity_revocations (
    id        text PRIMARY KEY,
    subject   text NOT NULL,
    key       text NOT NULL,
    before_at bigint NOT NULL,
    until_at  bigint NOT NULL
);
CREATE INDEX identity_revocations_until ON identity_revocations (until_at);

CREATE TABLE identity_keys (
    id         text PRIMARY KEY,
    state      text NOT NULL,
    sealed     text NOT NULL,
    created_at bigint NOT NULL,
    retired_at bigint NOT NULL
);

-- What bootstrap once made; a row stays when a person deletes the thing.
CREATE TABLE identity_seeds (
    name       text PRIMARY KEY,
    object_id  text NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE identity_projects (
    id          text PRIMARY KEY,
    name        text NOT NULL,
    domain_id   text REFERENCES identity_projects (id) ON DELETE CASCADE,
    parent_id   text REFERENCES identity_projects (id) ON DELETE CASCADE,
    description text NOT NULL,
    enabled     boolean NOT NULL,
    is_domain   boolean NOT NULL,
    options     text NOT NULL,
    extra       text NOT NULL,
    created_at  bigint NOT NULL
);
CREATE UNIQUE INDEX identity_projects_name ON identity_projects (COALESCE(domain_id, ''), name);
CREATE INDEX identity_projects_parent ON identity_projects (parent_id);
CREATE INDEX identity_projects_created ON identity_projects (created_at, id);

CREATE TABLE identity_project_tags (
    project_id text NOT NULL REFERENCES identity_projects (id) ON DELETE CASCADE,
    name       text NOT NULL,
    PRIMARY KEY (project_id, name)
);
CREATE INDEX identity_project_tags_name ON identity_project_tags (name);

CREATE TABLE identity_users (
    id                  text PRIMARY KEY,
    name                text NOT NULL,
    domain_id           text NOT NULL REFERENCES identity_projects (id) ON DELETE CASCADE,
    default_project_id  text NOT NULL,
    enabled             boolean NOT NULL,
    options             text NOT NULL,
    extra               text NOT NULL,
    created_at          bigint NOT NULL,
    last_active         bigint NOT NULL,
    password_hash       text NOT NULL,
    password_created_at bigint NOT NULL,
    password_expires_at bigint NOT NULL,
    password_self       boolean NOT NULL,
    failures            bigint NOT NULL,
    last_failure        bigint NOT NULL
);
CREATE UNIQUE INDEX identity_users_name ON identity_users (domain_id, name);
CREATE INDEX identity_users_created ON identity_users (created_at, id);

CREATE TABLE identity_password_history (
    id         text PRIMARY KEY,
    user_id    text NOT NULL REFERENCES identity_users (id) ON DELETE CASCADE,
    hash       text NOT NULL,
    created_at bigint NOT NULL
);
CREATE INDEX identity_password_history_user ON identity_password_history (user_id, created_at);

CREATE TABLE identity_groups (
    id          text PRIMARY KEY,
    name        text NOT NULL,
    domain_id   text NOT NULL REFERENCES identity_projects (id) ON DELETE CASCADE,
    description text NOT NULL,
    extra       text NOT NULL,
    created_at  bigint NOT NULL
);
CREATE UNIQUE INDEX identity_groups_name ON identity_groups (domain_id, name);

CREATE TABLE identity_group_users (
    group_id text NOT NULL REFERENCES identity_groups (id) ON DELETE CASCADE,
    user_id  text NOT NULL REFERENCES identity_users (id) ON DELETE CASCADE,
    PRIMARY KEY (group_id, user_id)
);
CREATE INDEX identity_group_users_user ON identity_group_users (user_id);

CREATE TABLE identity_roles (
    id          text PRIMARY KEY,
    name        text NOT NULL,
    domain_id   text REFERENCES identity_projects (id) ON DELETE CASCADE,
    description text NOT NULL,
    options     text NOT NULL,
    extra       text NOT NULL,
    created_at  bigint NOT NULL
);
CREATE UNIQUE INDEX identity_roles_name ON identity_roles (COALESCE(domain_id, ''), name);

CREATE TABLE identity_implied_roles (
    prior_id   text NOT NULL REFERENCES identity_roles (id) ON DELETE CASCADE,
    implied_id text NOT NULL REFERENCES identity_roles (id) ON DELETE CASCADE,
    PRIMARY KEY (prior_id, implied_id)
);
CREATE INDEX identity_implied_roles_implied ON identity_implied_roles (implied_id);

CREATE TABLE identity_assignments (
    id         text PRIMARY KEY,
    user_id    text REFERENCES identity_users (id) ON DELETE CASCADE,
    group_id   text REFERENCES identity_groups (id) ON DELETE CASCADE,
    project_id text REFERENCES identity_projects (id) ON DELETE CASCADE,
    domain_id  text REFERENCES identity_projects (id) ON DELETE CASCADE,
    system     boolean NOT NULL,
    role_id    text NOT NULL REFERENCES identity_roles (id) ON DELETE CASCADE,
    inherited  boolean NOT NULL,
    created_at bigint NOT NULL
);
CREATE INDEX identity_assignments_user ON identity_assignments (user_id);
CREATE INDEX identity_assignments_group ON identity_assignments (group_id);
CREATE INDEX identity_assignments_project ON identity_assignments (project_id);
CREATE INDEX identity_assignments_domain ON identity_assignments (domain_id);
CREATE INDEX identity_assignments_role ON identity_assignments (role_id);

CREATE TABLE identity_regions (
    id          text PRIMARY KEY,
    parent_id   text REFERENCES identity_regions (id) ON DELETE CASCADE,
    description text NOT NULL,
    extra       text NOT NULL,
    created_at  bigint NOT NULL
);

CREATE TABLE identity_services (
    id          text PRIMARY KEY,
    type        text NOT NULL,
    name        text NOT NULL,
    enabled     boolean NOT NULL,
    extra       text NOT NULL,
    created_at  bigint NOT NULL
);

CREATE TABLE identity_endpoints (
    id         text PRIMARY KEY,
    service_id text NOT NULL REFERENCES identity_services (id) ON DELETE CASCADE,
    region_id  text REFERENCES identity_regions (id),
    interface  text NOT NULL,
    url        text NOT NULL,
    enabled    boolean NOT NULL,
    extra      text NOT NULL,
    created_at bigint NOT NULL
);
CREATE INDEX identity_endpoints_service ON identity_endpoints (service_id);
CREATE INDEX identity_endpoints_region ON identity_endpoints (region_id);

CREATE TABLE identity_credentials (
    id         text PRIMARY KEY,
    user_id    text NOT NULL REFERENCES identity_users (id) ON DELETE CASCADE,
    project_id text REFERENCES identity_projects (id) ON DELETE CASCADE,
    type       text NOT NULL,
    sealed     text NOT NULL,
    extra      text NOT NULL,
    created_at bigint NOT NULL
);
CREATE INDEX identity_credentials_user ON identity_credentials (user_id);
CREATE INDEX identity_credentials_project ON identity_credentials (project_id);

CREATE TABLE identity_app_credentials (
    id           text PRIMARY KEY,
    name         text NOT NULL,
    description  text NOT NULL,
    user_id      text NOT NULL REFERENCES identity_users (id) ON DELETE CASCADE,
    project_id   text NOT NULL REFERENCES identity_projects (id) ON DELETE CASCADE,
    secret_hash  text NOT NULL,
    unrestricted boolean NOT NULL,
    expires_at   bigint NOT NULL,
    created_at   bigint NOT NULL
);
CREATE UNIQUE INDEX identity_app_credentials_name ON identity_app_credentials (user_id, name);
CREATE INDEX identity_app_credentials_project ON identity_app_credentials (project_id);

CREATE TABLE identity_app_credential_roles (
    app_credential_id text NOT NULL REFERENCES identity_app_credentials (id) ON DELETE CASCADE,
    role_id           text NOT NULL REFERENCES identity_roles (id) ON DELETE CASCADE,
    PRIMARY KEY (app_credential_id, role_id)
);
CREATE INDEX identity_app_credential_roles_role ON identity_app_credential_roles (role_id);

CREATE TABLE identity_access_rules (
    id         text PRIMARY KEY,
    user_id    text NOT NULL REFERENCES identity_users (id) ON DELETE CASCADE,
    service    text NOT NULL,
    path       text NOT NULL,
    method     text NOT NULL,
    created_at bigint NOT NULL
);
CREATE UNIQUE INDEX identity_access_rules_rule ON identity_access_rules (user_id, service, path, method);

CREATE TABLE identity_app_credential_rules (
    app_credential_id text NOT NULL REFERENCES identity_app_credentials (id) ON DELETE CASCADE,
    rule_id           text NOT NULL REFERENCES identity_access_rules (id),
    PRIMARY KEY (app_credential_id, rule_id)
);
CREATE INDEX identity_app_credential_rules_rule ON identity_app_credential_rules (rule_id);

CREATE TABLE identity_trusts (
    id                 text PRIMARY KEY,
    trustor_id         text NOT NULL REFERENCES identity_users (id) ON DELETE CASCADE,
    trustee_id         text NOT NULL REFERENCES identity_users (id) ON DELETE CASCADE,
    project_id         text REFERENCES identity_projects (id) ON DELETE CASCADE,
    impersonation      boolean NOT NULL,
    expires_at         bigint NOT NULL,
    remaining_uses     bigint NOT NULL,
    redelegated_id     text REFERENCES identity_trusts (id) ON DELETE CASCADE,
    redelegation_count bigint NOT NULL,
    allow_redelegation boolean NOT NULL,
    extra              text NOT NULL,
    created_at         bigint NOT NULL
);
CREATE INDEX identity_trusts_trustor ON identity_trusts (trustor_id);
CREATE INDEX identity_trusts_trustee ON identity_trusts (trustee_id);
CREATE INDEX identity_trusts_project ON identity_trusts (project_id);
CREATE INDEX identity_trusts_redelegated ON identity_trusts (redelegated_id);

CREATE TABLE identity_trust_roles (
    trust_id text NOT NULL REFERENCES identity_trusts (id) ON DELETE CASCADE,
    role_id  text NOT NULL REFERENCES identity_roles (id) ON DELETE CASCADE,
    PRIMARY KEY (trust_id, role_id)
);
CREATE INDEX identity_trust_roles_role ON identity_trust_roles (role_id);

CREATE TABLE identity_registered_limits (
    id            text PRIMARY KEY,
    service_id    text NOT NULL REFERENCES identity_services (id),
    region_id     text REFERENCES identity_regions (id),
    resource_name text NOT NULL,
    default_limit bigint NOT NULL,
    description   text,
    created_at    bigint NOT NULL
);
CREATE UNIQUE INDEX identity_registered_limits_resource
    ON identity_registered_limits (service_id, COALESCE(region_id, ''), resource_name);

CREATE TABLE identity_limits (
    id             text PRIMARY KEY,
    project_id     text REFERENCES identity_projects (id) ON DELETE CASCADE,
    domain_id      text REFERENCES identity_projects (id) ON DELETE CASCADE,
    registered_id  text NOT NULL REFERENCES identity_registered_limits (id),
    resource_limit bigint NOT NULL,
    description    text,
    created_at     bigint NOT NULL
);
CREATE UNIQUE INDEX identity_limits_resource
    ON identity_limits (COALESCE(project_id, ''), COALESCE(domain_id, ''), registered_id);
CREATE INDEX identity_limits_registered ON identity_limits (registered_id);

CREATE TABLE identity_policies (
    id         text PRIMARY KEY,
    type       text NOT NULL,
    blob       text NOT NULL,
    extra      text NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE identity_policy_ties (
    id          text PRIMARY KEY,
    policy_id   text NOT NULL REFERENCES identity_policies (id) ON DELETE CASCADE,
    endpoint_id text REFERENCES identity_endpoints (id) ON DELETE CASCADE,
    service_id  text REFERENCES identity_services (id) ON DELETE CASCADE,
    region_id   text REFERENCES identity_regions (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX identity_policy_ties_target
    ON identity_policy_ties (COALESCE(endpoint_id, ''), COALESCE(service_id, ''), COALESCE(region_id, ''));
CREATE INDEX identity_policy_ties_policy ON identity_policy_ties (policy_id);

CREATE TABLE identity_endpoint_groups (
    id          text PRIMARY KEY,
    name        text NOT NULL,
    description text,
    filters     text NOT NULL,
    created_at  bigint NOT NULL
);

CREATE TABLE identity_project_endpoints (
    project_id  text NOT NULL REFERENCES identity_projects (id) ON DELETE CASCADE,
    endpoint_id text NOT NULL REFERENCES identity_endpoints (id) ON DELETE CASCADE,
    PRIMARY KEY (project_id, endpoint_id)
);
CREATE INDEX identity_project_endpoints_endpoint ON identity_project_endpoints (endpoint_id);

CREATE TABLE identity_project_endpoint_groups (
    project_id        text NOT NULL REFERENCES identity_projects (id) ON DELETE CASCADE,
    endpoint_group_id text NOT NULL REFERENCES identity_endpoint_groups (id) ON DELETE CASCADE,
    PRIMARY KEY (project_id, endpoint_group_id)
);
CREATE INDEX identity_project_endpoint_groups_group ON identity_project_endpoint_groups (endpoint_group_id);

CREATE TABLE identity_domain_options (
    domain_id text NOT NULL REFERENCES identity_projects (id) ON DELETE CASCADE,
    section   text NOT NULL,
    name      text NOT NULL,
    value     text NOT NULL,
    PRIMARY KEY (domain_id, section, name)
);

CREATE TABLE identity_oauth_consumers (
    id          text PRIMARY KEY,
    sealed      text NOT NULL,
    description text,
    extra       text NOT NULL,
    created_at  bigint NOT NULL
);

CREATE TABLE identity_oauth_requests (
    id          text PRIMARY KEY,
    sealed      text NOT NULL,
    consumer_id text NOT NULL REFERENCES identity_oauth_consumers (id) ON DELETE CASCADE,
    project_id  text NOT NULL REFERENCES identity_projects (id) ON DELETE CASCADE,
    user_id     text REFERENCES identity_users (id) ON DELETE CASCADE,
    roles       text NOT NULL,
    verifier    text NOT NULL,
    expires_at  bigint NOT NULL
);
CREATE INDEX identity_oauth_requests_expires ON identity_oauth_requests (expires_at);

CREATE TABLE identity_oauth_accesses (
    id          text PRIMARY KEY,
    sealed      text NOT NULL,
    consumer_id text NOT NULL REFERENCES identity_oauth_consumers (id) ON DELETE CASCADE,
    project_id  text NOT NULL REFERENCES identity_projects (id) ON DELETE CASCADE,
    user_id     text NOT NULL REFERENCES identity_users (id) ON DELETE CASCADE,
    roles       text NOT NULL,
    expires_at  bigint NOT NULL,
    created_at  bigint NOT NULL
);
CREATE INDEX identity_oauth_accesses_user ON identity_oauth_accesses (user_id);
CREATE INDEX identity_oauth_accesses_expires ON identity_oauth_accesses (expires_at);

-- +goose Down
DROP TABLE identity_oauth_accesses;
DROP TABLE identity_oauth_requests;
DROP TABLE identity_oauth_consumers;
DROP TABLE identity_domain_options;
DROP TABLE identity_project_endpoint_groups;
DROP TABLE identity_project_endpoints;
DROP TABLE identity_endpoint_groups;
DROP TABLE identity_policy_ties;
DROP TABLE identity_policies;
DROP TABLE identity_limits;
DROP TABLE identity_registered_limits;
DROP TABLE identity_trust_roles;
DROP TABLE identity_trusts;
DROP TABLE identity_app_credential_rules;
DROP TABLE identity_access_rules;
DROP TABLE identity_app_credential_roles;
DROP TABLE identity_app_credentials;
DROP TABLE identity_credentials;
DROP TABLE identity_endpoints;
DROP TABLE identity_services;
DROP TABLE identity_regions;
DROP TABLE identity_assignments;
DROP TABLE identity_implied_roles;
DROP TABLE identity_roles;
DROP TABLE identity_group_users;
DROP TABLE identity_groups;
DROP TABLE identity_password_history;
DROP TABLE identity_users;
DROP TABLE identity_project_tags;
DROP TABLE identity_projects;
DROP TABLE identity_seeds;
DROP TABLE identity_keys;
DROP TABLE identity_revocations;
DROP TABLE identity_epoch;
