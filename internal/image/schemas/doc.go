// Package schemas serves the JSON schemas of the image API: what clients learn
// the formats and the members of images from. They are documentation; the
// checks of requests are package images'.
package schemas
