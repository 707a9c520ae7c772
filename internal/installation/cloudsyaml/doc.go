// Package cloudsyaml merges our entries into a person's clouds.yaml and takes
// them out again. Other clouds, their order and comments stay; the file that
// was there before the first merge is kept beside it.
//
// Rejected: rewriting the file from a map, which loses comments and order.
package cloudsyaml
