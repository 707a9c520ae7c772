// Package quotas serves the limits of projects: quota sets, the default class,
// and the limits view. Limits per volume type are not offered: they are shown
// as unlimited, and setting one is refused.
package quotas
