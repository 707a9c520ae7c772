-- +goose Up
ALTER TABLE compute_console_tokens ADD COLUMN standing text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE compute_console_tokens DROP COLUMN standing;
