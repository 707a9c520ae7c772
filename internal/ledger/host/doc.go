// Package host takes recorded changes back from this machine and looks whether
// they are there: the real ledger.Host.
//
// Every undo may run twice and copes with what was never made. What belongs to
// the machine's owner by now is left alone: a folder that others use, packages.
//
// Rejected: calling ip(8) and rm(1), whose failures must be guessed from text.
package host
