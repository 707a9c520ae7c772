// Package pools shows the hosts that keep volumes in the words of the API:
// services, back-end pools, hosts, zones, capabilities. They are agents, and
// nothing here is stored.
package pools
