-- Whether new security groups are stateful: of a project, or of all that say nothing.

-- +goose Up
CREATE TABLE network_statefulness (
    id         text PRIMARY KEY,
    project_id text NOT NULL, -- empty: of all projects
    stateful   boolean NOT NULL,
    created_at bigint NOT NULL
);
CREATE UNIQUE INDEX network_statefulness_project ON network_statefulness (project_id);

-- +goose Down
DROP TABLE network_statefulness;
