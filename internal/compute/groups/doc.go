// Package groups serves server groups: which servers belong together or apart.
// Members are the servers that name the group; the scheduler reads the policy.
package groups
