-- +goose Up
CREATE INDEX network_ports_owner ON network_ports (network_id, device_owner);
CREATE INDEX blockstorage_volumes_kept ON blockstorage_volumes (host, size, kept);

-- +goose Down
DROP INDEX blockstorage_volumes_kept;
DROP INDEX network_ports_owner;
