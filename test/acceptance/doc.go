// Package acceptance tries the whole product as its users do: the real binary
// brings a cloud up inside a network namespace of its own, and the unmodified
// openstack client, ssh and a browser's websocket use it. It needs root,
// QEMU, Open vSwitch, OVN and python3-openstackclient; "make test" installs them.
package acceptance
