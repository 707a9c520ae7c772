// Package pools shows the hosts that keep volumes in the words of the API:
// services, back-end pools, hosts, zones, capabilities. They are agents;
// all that is stored is which of them an operator closed for new volumes.
package pools
