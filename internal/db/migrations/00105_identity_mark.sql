-- +goose Up
-- the time of the newest revocation, by which those of several servers follow each other
ALTER TABLE identity_epoch ADD COLUMN mark bigint NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE identity_epoch DROP COLUMN mark;
