// Package trusts lends roles: a trustor lets a trustee act in one project with
// some of the trustor's roles, until a time, for a number of tokens, or both.
//
// Invariants: a trust's roles are among the trustor's when it is made and while
// it is used; a trust made with a lent token is smaller than the one behind it
// in roles, time and depth, and ends with it; nobody but the trustor makes one;
// a token of an application credential neither makes nor sees trusts.
package trusts
