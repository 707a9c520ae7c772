package signature

import (
	"encoding/hex"
	"strings"
)

// Chain checks the signatures of the chunks of a body, each of which signs the
// one before; the first continues the signature of the request.
type Chain struct {
	claim    *Claim
	key      []byte
	previous string
}

// Chain starts the chain of a verified claim of version 4.
func (c *Claim) Chain(secret string) *Chain {
	return &Chain{claim: c, key: c.key(secret), previous: c.signature}
}

// emptyHash is the SHA-256 of nothing.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// Chunk checks a chunk by the SHA-256 of its bytes, in hexadecimal.
func (c *Chain) Chunk(sum, signature string) bool {
	return c.next(signature, algorithm4+"-PAYLOAD", emptyHash, sum)
}

// Trailer checks the trailers by their canonical text: a line "name:value\n" each.
func (c *Chain) Trailer(canonical, signature string) bool {
	return c.next(signature, algorithm4+"-TRAILER", hash(canonical))
}

func (c *Chain) next(signature, kind string, rest ...string) bool {
	lines := append([]string{kind, c.claim.Date.UTC().Format(amzDate), c.claim.scope(), c.previous}, rest...)
	c.previous = hex.EncodeToString(mac(c.key, strings.Join(lines, "\n")))
	return equal(c.previous, signature)
}
