// Package limits keeps unified limits: registered limits per service, region
// and resource, and what projects and domains have instead. The model is flat:
// a project's limit is not bounded by its parent's.
package limits
