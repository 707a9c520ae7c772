package identity

import "strings"

// Permits tells whether one of the access rules covers a request: service is a
// catalog type, path is below the service's address.
func Permits(rules []AccessRule, service, method, path string) bool {
	for _, r := range rules {
		if r.Service == service && r.Method == method && covers(r.Path, path) {
			return true
		}
	}
	return false
}

// covers matches a path with a pattern whose segments may be * or {name} (one
// segment) or ** (any number, also none). A trailing slash means nothing.
func covers(pattern, path string) bool {
	return match(strings.Split(strings.Trim(pattern, "/"), "/"), strings.Split(strings.Trim(path, "/"), "/"))
}

// match keeps the set of path positions that the pattern so far can end at, so
// that its time is the product of both lengths however many ** there are.
func match(pattern, path []string) bool {
	at := make([]bool, len(path)+1)
	at[0] = true
	for _, p := range pattern {
		next := make([]bool, len(path)+1)
		for i, here := range at {
			switch {
			case p == "**":
				next[i] = here || (i > 0 && next[i-1])
			case here && i < len(path) && one(p, path[i]):
				next[i+1] = true
			}
		}
		at = next
	}
	return at[len(path)]
}

// one matches one segment.
func one(p, segment string) bool {
	if p == "*" || (strings.HasPrefix(p, "{") && strings.HasSuffix(p, "}")) {
		return segment != ""
	}
	return p == segment
}
