// Package answers remembers what requests under a client's key came to, so that
// repeating one does nothing twice: the transaction of a change claims the key
// (package outbox calls Claim with the audit record), and the answer is saved,
// sealed, once it is known. Claims live for a day.
//
// A claim without an answer is of a request whose server died between the two:
// who repeats it is shown the object as it is.
//
// Rejected: saving the answer in the transaction of the change, which every
// handler would have to compute inside of it.
package answers
