-- Of the disks of servers those that are volumes, which lists of servers show.

-- +goose Up
CREATE INDEX compute_disks_volumes ON compute_disks (server) WHERE volume_id <> '';

-- +goose Down
DROP INDEX compute_disks_volumes;
