package wire

import (
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/rest"
)

// Delegated tells whether the caller's token was lent by a trust or by OAuth.
// Such a token makes and reads no further credentials.
func Delegated(c *rest.Call) bool {
	return c.Auth.Extra["trust_id"] != nil || c.Auth.Extra["oauth_access_token_id"] != nil
}

// Signed is what of a call an OAuth signature is made over.
func Signed(c *rest.Call) identity.SignedRequest {
	return identity.SignedRequest{Method: c.Method, URL: c.Root() + c.URL.Path, Query: c.Values(), Authorization: c.Header.Get("Authorization")}
}
