-- Indexes whose columns another one begins with: they serve no query, and each row
-- that is added writes a page of each.

-- +goose Up
DROP INDEX network_networks_project;
DROP INDEX network_ports_project;
DROP INDEX blockstorage_volumes_host;

-- +goose Down
CREATE INDEX blockstorage_volumes_host ON blockstorage_volumes (host);
CREATE INDEX network_ports_project ON network_ports (project_id);
CREATE INDEX network_networks_project ON network_networks (project_id);
