-- What ports show of their addresses is in the index that finds them: lists of
-- servers ask for those of hundreds of ports, each row of which is on a page of its own.

-- +goose Up
CREATE INDEX network_addresses_of ON network_addresses (port_id, position, address, subnet_id);
DROP INDEX network_addresses_port;

-- +goose Down
CREATE INDEX network_addresses_port ON network_addresses (port_id);
DROP INDEX network_addresses_of;
