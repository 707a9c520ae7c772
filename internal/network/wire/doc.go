// Package wire is how the networking API spells what all its resources share:
// standard attributes, bulk bodies, times, tags, links of pages, texts of
// missing objects. It knows no resource.
package wire
