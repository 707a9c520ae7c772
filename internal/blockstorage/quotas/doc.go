// Package quotas serves the limits of projects: quota sets, quota classes and
// the limits view. The class default holds for projects without limits of
// their own; other classes are kept and shown, and nobody belongs to them.
package quotas
