-- Volumes that are made of a snapshot: whoever deletes one asks for them.

-- +goose Up
CREATE INDEX blockstorage_volumes_snapshot ON blockstorage_volumes (snapshot_id) WHERE snapshot_id <> '';

-- +goose Down
DROP INDEX blockstorage_volumes_snapshot;
