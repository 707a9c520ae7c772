package access

import (
	"strings"

	"github.com/mekcloud/mek/internal/identity"
)

// groupsOf lists the groups that an identity provider put the token's user into.
func groupsOf(t identity.Token) []string {
	if t.Federation == nil {
		return nil
	}
	return t.Federation.Groups
}

// keyOf tells apart what was said of the same user by different logins.
func keyOf(f *identity.Federation) string {
	if f == nil {
		return ""
	}
	return strings.Join(append([]string{f.ProviderID, f.ProtocolID}, f.Groups...), "\x00")
}
