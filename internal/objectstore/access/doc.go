// Package access decides who may do what in the object store: Keystone's roles
// on an account's project, access lists of containers (users, projects, roles,
// referrers), access lists of accounts, resellers and service tokens. It is pure:
// who asks and the lists go in, the decision comes out.
//
// Decide answers as Swift's keystoneauth does; lists of accounts are those of
// Swift's tempauth.
package access
