// Package quotas is the resource quota of the networking service: limits per
// project, and what of them is used.
package quotas
