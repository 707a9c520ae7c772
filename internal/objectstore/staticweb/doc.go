// Package staticweb serves containers as web sites: an index page for folders,
// pages for errors, listings as HTML. Visitors without a token see the site, and
// others when they ask with X-Web-Mode; access lists of the container decide as
// they do for every read.
//
// Names of objects are data: they are escaped in every page and address.
package staticweb
