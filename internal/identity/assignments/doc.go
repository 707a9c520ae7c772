// Package assignments keeps who has which role where, lists it in all of
// Keystone's forms, and tells which projects a user can reach.
//
// Effective lists replace groups by their users, inherited assignments by the
// projects below, and add implied roles; they are computed by pure code from
// one read of the rows. What a token is worth is computed by package access
// from the same rules.
package assignments
