package oidc

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// The prefixes that are in use: mod_auth_openidc's default, and the one that
// Keystone's documentation and deployment tools set (OIDCClaimPrefix "OIDC-").
const (
	prefixDefault  = "OIDC_CLAIM_"
	prefixKeystone = "OIDC-"
)

// Environment is the claims under the names that mappings for a real Keystone
// use, whichever way its web server was set up. For a claim email:
//
//   - OIDC_CLAIM_email: the environment variable of mod_auth_openidc
//   - OIDC-email: the same with OIDCClaimPrefix "OIDC-"
//   - HTTP_OIDC_CLAIM_EMAIL, HTTP_OIDC_EMAIL: the request headers that it sets
//     beside them, as WSGI spells headers (PEP 3333); HTTP_OIDC_ISS is the
//     usual remote_id_attribute
//   - REMOTE_USER: the subject, "@" and the issuer without "https://", which is
//     OIDCRemoteUserClaim's default "sub@". That module leaves the issuer out
//     for bearer tokens; here a user has one name, however it comes.
//
// Characters that no header name has are "-", as that module writes them. Where
// several claims have the same name then, the one that is spelled so itself
// wins, then the first in order. Lists stay lists, where that module joins them
// by OIDCClaimDelimiter for Keystone to split again. Not to be changed.
func (c Claims) Environment() map[string][]string {
	env := make(map[string][]string, 4*len(c)+1)
	put := func(name string, values []string) {
		if _, taken := env[name]; !taken {
			env[name] = values
		}
	}
	names := slices.SortedFunc(maps.Keys(c), func(a, b string) int { return cmp.Or(distance(a)-distance(b), strings.Compare(a, b)) })
	for _, name := range names {
		header := headerName(name)
		put(prefixDefault+header, c[name])
		put(prefixKeystone+header, c[name])
		put("HTTP_"+variable(prefixDefault+header), c[name])
		// A claim claim_x must not look like the claim x of the other prefix.
		if short := variable(prefixKeystone + header); !strings.HasPrefix(short, prefixDefault) {
			put("HTTP_"+short, c[name])
		}
	}
	if sub, iss := c["sub"], c["iss"]; len(sub) == 1 && len(iss) == 1 {
		env["REMOTE_USER"] = []string{sub[0] + "@" + strings.TrimPrefix(iss[0], "https://")}
	}
	return env
}

// distance is how much of a claim's name gets lost in a variable's.
func distance(name string) int {
	switch {
	case strings.ToLower(variable(name)) == name:
		return 0
	case headerName(name) == name:
		return 1
	}
	return 2
}

// headerName replaces what cannot stand in a header's name (RFC 9110, 5.6.2).
func headerName(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || strings.ContainsRune("()<>@,;:\\\"/[]?={} \t", r) {
			return '-'
		}
		return r
	}, name)
}

// variable spells a header's name as CGI does (RFC 3875, 4.1.18).
func variable(header string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z' || '0' <= r && r <= '9':
			return r
		}
		return '_'
	}, header)
}
