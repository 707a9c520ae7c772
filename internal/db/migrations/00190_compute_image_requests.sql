-- Images that the hosts of an aggregate shall fetch ahead of use: what was asked for,
-- and the hosts that have not answered yet.

-- +goose Up
CREATE TABLE compute_image_requests (
    id         text PRIMARY KEY,
    aggregate  text NOT NULL,
    images     text NOT NULL,
    total      bigint NOT NULL,
    done       bigint NOT NULL,
    project_id text NOT NULL,
    user_id    text NOT NULL,
    request_id text NOT NULL
);
CREATE TABLE compute_image_hosts (
    id         text PRIMARY KEY,
    request    text NOT NULL REFERENCES compute_image_requests (id),
    host       text NOT NULL,
    running    boolean NOT NULL,
    created_at bigint NOT NULL
);
CREATE INDEX compute_image_hosts_turn ON compute_image_hosts (running, created_at, id);
CREATE INDEX compute_image_hosts_host ON compute_image_hosts (host);
CREATE INDEX compute_image_hosts_request ON compute_image_hosts (request);

-- +goose Down
DROP TABLE compute_image_hosts;
DROP TABLE compute_image_requests;
