// Package quotas holds the limits of the compute service: what a project may
// have, shown and changed through quota sets, quota classes and limits.
package quotas
