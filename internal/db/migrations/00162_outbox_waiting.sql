-- Audit records and events between the change they tell of and their number in
-- outbox_records. It has no index: the publisher takes all there is, and each change
-- of the cloud writes one page of it.

-- +goose Up
CREATE TABLE outbox_waiting (
    id text NOT NULL,
    created_at bigint NOT NULL,
    body text NOT NULL
);

-- +goose Down
INSERT INTO outbox_records (id, created_at, sequence, body, hash) SELECT id, created_at, 0, body, '' FROM outbox_waiting;
DROP TABLE outbox_waiting;
