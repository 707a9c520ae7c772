// Package rbac is the resource RBAC policy: which projects may use a network,
// security group, subnet pool, address scope, address group or QoS policy of
// another project.
//
// The flags "shared" and "router:external" of objects stand for policies that
// name everybody; both are kept alike in one transaction. A policy that the
// target makes use of cannot be taken away.
package rbac
