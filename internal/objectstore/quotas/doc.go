// Package quotas holds containers and accounts to the bytes and objects that
// their attributes allow: X-Container-Meta-Quota-Bytes and -Count, which owners
// set, and X-Account-Quota-Bytes and -Count (for the policy of storage as well),
// which resellers set; X-Account-Meta-Quota-Bytes is the older name.
//
// An upload is refused before it begins where that is clear, and decided once
// more in the commit: so many parallel uploads as fit succeed, not one more.
// Bytes are those of all versions. As upstream, what an upload replaces is not
// taken off.
package quotas
