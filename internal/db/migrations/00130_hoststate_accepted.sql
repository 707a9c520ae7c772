-- +goose Up
-- the document of a section that a host has on disk, as the server learned last
CREATE TABLE hoststate_accepted (
    host     text NOT NULL,
    section  text NOT NULL,
    revision bigint NOT NULL,
    digest   text NOT NULL,
    epoch    bigint NOT NULL,
    PRIMARY KEY (host, section)
);

-- servers at work: a few of many
CREATE INDEX compute_servers_busy ON compute_servers (updated_at) WHERE task_state <> '';

-- +goose Down
DROP INDEX compute_servers_busy;
DROP TABLE hoststate_accepted;
