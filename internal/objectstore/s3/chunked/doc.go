// Package chunked reads bodies in Amazon's encoding "aws-chunked": chunks that
// say their size, each signed or none, and trailers behind the last one.
//
// The reader holds one line and a checksum: memory does not grow with chunks. A
// chunk's signature is checked when its last byte was read, before the reader
// reports that the body has ended; whoever stores the bytes must not show them
// before that.
package chunked
