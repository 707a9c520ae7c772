// Package groups keeps groups and who is in them. A membership takes effect on
// tokens at the next request, since roles are computed, never stored in tokens.
package groups
