// Package policies keeps the policy blobs of the API and what they are for:
// OS-ENDPOINT-POLICY ties a policy to an endpoint, a service, or a service in a
// region.
//
// Invariants: a target has at most one policy (a second one replaces it); what
// an endpoint is under is decided from the nearest: itself, its service in its
// region or a region above, its service.
//
// Rejected: to feed these blobs to this cloud's own enforcer. Upstream never
// does either, and whoever may write a row would be above the operator's file.
package policies
