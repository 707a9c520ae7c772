// Package consoles shows servers' screens: it answers addresses that open in
// any browser, and carries the bytes between browser and host.
//
// A token in an address works once, within ten minutes, for the server and the
// build it was asked for; the database keeps only its hash. The page is our own
// with noVNC inside (ui/console, built by esbuild and checked in).
//
// Rejected: a proxy process of its own (one port and one certificate are
// easier to reach), tokens that work again (an address in a chat log would
// stay a key).
package consoles
