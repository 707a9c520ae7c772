// Package image is the contract of the image service: what an image is, the
// states it passes through, which contents are accepted, and what other
// services may ask for.
//
// Invariants. The bytes of an image never change once it is active: a new
// content is a new image. An active image's bytes hash to its record, and its
// content was read by the sandboxed worker and is what disk_format says.
// Consumers take the format from Image.Content, never from a look at the bytes.
//
// Rejected: letting consumers probe formats themselves, and trusting
// disk_format as the user declared it (both are how images read host files:
// CVE-2015-1850, CVE-2024-32498, CVE-2024-40767).
package image
