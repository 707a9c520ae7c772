-- +goose Up
-- sagas that have not ended (internal/task); the row goes with the saga's end
CREATE TABLE task_sagas (
    id text PRIMARY KEY,
    op text NOT NULL,
    version bigint NOT NULL,
    object text NOT NULL,
    project_id text NOT NULL,
    user_id text NOT NULL,
    request_id text NOT NULL,
    state text NOT NULL,        -- live, or waiting for the live ones of its object to end
    shared boolean NOT NULL,    -- may run beside others on its object
    preempt boolean NOT NULL,   -- a delete: uses the reserved workers
    cancel boolean NOT NULL,
    direction text NOT NULL,    -- forward, backward
    step text NOT NULL,         -- the name of the step that is at work or next
    attempts bigint NOT NULL,
    not_before bigint NOT NULL,
    deadline bigint NOT NULL,
    params text NOT NULL,
    saved text NOT NULL,
    error text NOT NULL,
    owner text NOT NULL,
    epoch bigint NOT NULL,
    lease_until bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE INDEX task_sagas_object ON task_sagas (object);
CREATE INDEX task_sagas_lease ON task_sagas (state, lease_until);
CREATE UNIQUE INDEX task_sagas_one_per_object ON task_sagas (object) WHERE state = 'live' AND shared = false;

-- what an undo could not finish, owned by a host or a service; tried again until it succeeds
CREATE TABLE task_cleanups (
    id text PRIMARY KEY,
    owner text NOT NULL,
    saga text NOT NULL,
    op text NOT NULL,
    step text NOT NULL,
    object text NOT NULL,
    project_id text NOT NULL,
    params text NOT NULL,
    saved text NOT NULL,
    error text NOT NULL,
    attempts bigint NOT NULL,
    not_before bigint NOT NULL,
    created_at bigint NOT NULL
);
CREATE INDEX task_cleanups_due ON task_cleanups (not_before);

-- audit records and events, written with the change they tell of
CREATE TABLE outbox_records (
    id text PRIMARY KEY,
    created_at bigint NOT NULL,
    sequence bigint NOT NULL,
    body text NOT NULL,
    hash text NOT NULL
);
CREATE INDEX outbox_records_sequence ON outbox_records (sequence);

-- quota: one lock row per project and service, overrides of limits
CREATE TABLE quota_locks (
    project_id text NOT NULL,
    service text NOT NULL,
    touched bigint NOT NULL,
    PRIMARY KEY (project_id, service)
);
CREATE TABLE quota_limits (
    project_id text NOT NULL,
    service text NOT NULL,
    resource text NOT NULL,
    hard_limit bigint NOT NULL,
    PRIMARY KEY (project_id, service, resource)
);

-- hosts and the revision of what each should have
CREATE TABLE hoststate_revisions (
    host text NOT NULL,
    section text NOT NULL,
    revision bigint NOT NULL,
    PRIMARY KEY (host, section)
);

-- small facts of the installation: cloud id, master key check, epochs
CREATE TABLE toolkit_facts (
    name text PRIMARY KEY,
    value text NOT NULL
);

-- the last number given under a name; never given again
CREATE TABLE serials (
    name text PRIMARY KEY,
    last bigint NOT NULL
);

-- the servers that share this database (internal/peers), each with its beat
CREATE TABLE toolkit_servers (
    name text PRIMARY KEY,
    instance text NOT NULL,     -- of the process
    url text NOT NULL,          -- of its front door, for the others
    hosts text NOT NULL,        -- that it hears, one a line
    beat bigint NOT NULL
);

-- what one server at a time does
CREATE TABLE toolkit_roles (
    role text PRIMARY KEY,
    owner text NOT NULL
);

-- machines that joined as hosts, each with the hash of the one key it has for as long as it belongs to the cloud
CREATE TABLE joining_hosts (
    name text PRIMARY KEY,
    key_hash text NOT NULL,
    joined_at bigint NOT NULL,
    renewed_at bigint NOT NULL
);
CREATE UNIQUE INDEX joining_hosts_key ON joining_hosts (key_hash);

-- what lets one machine join, once
CREATE TABLE joining_tokens (
    id text PRIMARY KEY,
    secret_hash text NOT NULL,
    expires_at bigint NOT NULL,
    used_by text NOT NULL       -- hash of the key that used it; empty: nobody
);
CREATE INDEX joining_tokens_expiry ON joining_tokens (expires_at);

-- what requests under a client's key came to (internal/answers)
CREATE TABLE toolkit_answers (
    key text PRIMARY KEY,       -- hash of user, project and the client's word
    request_id text NOT NULL,
    request text NOT NULL,      -- digest of the request
    object text NOT NULL,
    status bigint NOT NULL,     -- 0: no answer was saved
    sealed text NOT NULL,
    created_at bigint NOT NULL
);
CREATE INDEX toolkit_answers_age ON toolkit_answers (created_at);

-- +goose Down
DROP TABLE toolkit_answers;
DROP TABLE joining_tokens;
DROP TABLE joining_hosts;
DROP TABLE toolkit_roles;
DROP TABLE toolkit_servers;
DROP TABLE serials;
DROP TABLE toolkit_facts;
DROP TABLE hoststate_revisions;
DROP TABLE quota_limits;
DROP TABLE quota_locks;
DROP TABLE outbox_records;
DROP TABLE task_cleanups;
DROP TABLE task_sagas;
