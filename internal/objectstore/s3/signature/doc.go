// Package signature reads and checks the signatures of S3 requests: version 4
// and version 2, in headers, in presigned addresses and in forms, and the
// signatures of chunks that continue one of version 4.
//
// It is pure: the time is handed in, and the secret comes from the caller, who
// looks it up by Claim.Access. Parse says all that is wrong with a signature
// without knowing the secret; Verify compares in constant time.
//
// Rejected: aws-sdk-go-v2's signer as a checker. It signs requests of its own
// making; a server must rebuild what the client signed, which may differ in
// headers, in their order and in escapes. It is the oracle of the tests.
package signature
