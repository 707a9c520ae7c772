-- What was made for a project that asked for any network: once for each.

-- +goose Up
CREATE TABLE network_topologies (
    project_id text PRIMARY KEY,
    network_id text NOT NULL REFERENCES network_networks (id) ON DELETE CASCADE,
    router_id  text NOT NULL -- may be gone
);
CREATE INDEX network_topologies_network ON network_topologies (network_id);

-- +goose Down
DROP TABLE network_topologies;
