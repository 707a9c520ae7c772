-- Where the bytes of images were brought from, for those that were added by their
-- location; and what tasks came to.

-- +goose Up
ALTER TABLE image_images ADD COLUMN location text NOT NULL DEFAULT '';
ALTER TABLE image_tasks ADD COLUMN result text NOT NULL DEFAULT 'null';

-- +goose Down
ALTER TABLE image_tasks DROP COLUMN result;
ALTER TABLE image_images DROP COLUMN location;
