// Package proxies keeps the operations on networks that Nova took over from
// the days before Neutron: security groups and rules, and addresses of servers.
//
// They are a client of the networks' public API, with the caller's own token,
// so policy, quota and checks are the network service's. Nothing is stored here.
package proxies
