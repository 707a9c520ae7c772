// Package keypairs serves the public keys that users put into servers. A key
// pair belongs to a user, not to a project; its name is unique per user.
//
// Before 2.92 the cloud could make a pair: the private half is answered once
// and kept nowhere.
package keypairs
