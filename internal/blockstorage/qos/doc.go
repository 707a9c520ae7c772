// Package qos serves QoS specs: named limits that volume types refer to. The
// types keep the reference; specs that a type refers to are not deleted
// without force.
package qos
