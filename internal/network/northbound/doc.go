// Package northbound keeps the northbound database as the rows say: each
// commit names the scopes it concerns, which are rendered and applied again at
// once; a full pass at start and now and then repairs drift.
//
// A scope is rendered from rows read at that moment, so it does not matter how
// often or in which order scopes are named, nor that names are lost with the
// process: the pass at start finds what was missed.
package northbound
