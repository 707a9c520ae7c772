// Package imageapi assembles the image service, Glance v2: its dialect, its
// policy rules, version documents, discovery, and the features' routes.
package imageapi
