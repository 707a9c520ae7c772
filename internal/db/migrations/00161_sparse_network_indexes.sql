-- Columns that most rows leave empty: each row that is added writes a page of each
-- index that it is in, so those of such columns have only the rows that are asked
-- for. And the next place among a port's addresses, without counting them.

-- +goose Up
DROP INDEX network_rules_remote;
CREATE INDEX network_rules_remote ON network_rules (remote_group_id) WHERE remote_group_id <> '';
DROP INDEX network_rules_address_group;
CREATE INDEX network_rules_address_group ON network_rules (address_group_id) WHERE address_group_id <> '';
DROP INDEX network_subnets_pool;
CREATE INDEX network_subnets_pool ON network_subnets (pool_id) WHERE pool_id <> '';
DROP INDEX network_ports_host;
CREATE INDEX network_ports_host ON network_ports (host) WHERE host <> '';
DROP INDEX network_ports_device;
CREATE INDEX network_ports_device ON network_ports (device_id) WHERE device_id <> '';
DROP INDEX network_ports_owner;
CREATE INDEX network_ports_owner ON network_ports (network_id, device_owner) WHERE device_owner LIKE 'network:%';
DROP INDEX network_addresses_port;
CREATE INDEX network_addresses_port ON network_addresses (port_id, position);

-- +goose Down
DROP INDEX network_addresses_port;
CREATE INDEX network_addresses_port ON network_addresses (port_id);
DROP INDEX network_ports_owner;
CREATE INDEX network_ports_owner ON network_ports (network_id, device_owner);
DROP INDEX network_ports_device;
CREATE INDEX network_ports_device ON network_ports (device_id);
DROP INDEX network_ports_host;
CREATE INDEX network_ports_host ON network_ports (host);
DROP INDEX network_subnets_pool;
CREATE INDEX network_subnets_pool ON network_subnets (pool_id);
DROP INDEX network_rules_address_group;
CREATE INDEX network_rules_address_group ON network_rules (address_group_id);
DROP INDEX network_rules_remote;
CREATE INDEX network_rules_remote ON network_rules (remote_group_id);
