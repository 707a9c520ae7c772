package passwords

import (
	_ "unsafe" // for linkname
)

// The work on blocks, in the processor's own words, is not offered by argon2, and
// without it a hash takes twice as long. TestArgonIsArgon holds that it is still
// what it was.

// mix makes a block of two others.
//
//go:linkname mix golang.org/x/crypto/argon2.processBlock
//go:noescape
func mix(out, in1, in2 *block)

// mixInto is mix, and what there was is mixed in, too.
//
//go:linkname mixInto golang.org/x/crypto/argon2.processBlockXOR
//go:noescape
func mixInto(out, in1, in2 *block)
