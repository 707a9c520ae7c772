// Package users keeps users and their passwords.
//
// Invariants: a password is stored as a hash only and shown never; every change
// of a password, and disabling or deleting a user, ends the user's tokens;
// checking the password of a user who does not exist, may not log in or is
// locked out takes as long, and says as much, as a wrong password.
package users
