// Package tagging is the tags of networking resources: words that users set on
// networks, subnets, ports, routers, floating addresses and security groups.
package tagging
