-- Hosts that a port may be given to, besides the one it is bound to.

-- +goose Up
CREATE TABLE network_bindings (
    id         text PRIMARY KEY, -- of the port, a slash, the host
    port_id    text NOT NULL REFERENCES network_ports (id) ON DELETE CASCADE,
    host       text NOT NULL,
    vnic_type  text NOT NULL,
    profile    text NOT NULL,
    bound      boolean NOT NULL -- false: it was the active one before
);
CREATE INDEX network_bindings_port ON network_bindings (port_id, host);

-- +goose Down
DROP TABLE network_bindings;
