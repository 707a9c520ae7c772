-- +goose Up
-- objects themselves lie outside of the database; this is how far their audit records have come into it
CREATE TABLE objectstore_exports (
    store text PRIMARY KEY,
    sequence bigint NOT NULL
);

-- +goose Down
DROP TABLE objectstore_exports;
