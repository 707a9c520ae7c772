-- What a project sees of networks and ports, a page of it in the order of lists.

-- +goose Up
CREATE INDEX network_ports_listed ON network_ports (project_id, created_at, id);
CREATE INDEX network_ports_foreign ON network_ports (network_id, project_id);
CREATE INDEX network_networks_listed ON network_networks (project_id, created_at, id);
CREATE INDEX network_shares_target ON network_shares (target, object_id);

-- +goose Down
DROP INDEX network_shares_target;
DROP INDEX network_networks_listed;
DROP INDEX network_ports_foreign;
DROP INDEX network_ports_listed;
