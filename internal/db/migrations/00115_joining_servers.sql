-- +goose Up
-- where hosts reach the servers of the cloud
CREATE TABLE joining_servers (
    name    text PRIMARY KEY,
    api     text NOT NULL,   -- https://HOST:PORT; empty: it takes no strangers
    bus     text NOT NULL,   -- HOST:PORT
    streams text NOT NULL,   -- HOST:PORT
    seen_at bigint NOT NULL
);

-- +goose Down
DROP TABLE joining_servers;
