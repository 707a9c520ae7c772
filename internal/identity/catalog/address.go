package catalog

import (
	"regexp"
	"strings"
)

// placeholder is %(name)s or $(name)s.
var placeholder = regexp.MustCompile(`[%$]\((\w+)\)s`)

// known are the placeholders that an address may hold; upstream's others name
// options of its configuration file.
var known = map[string]bool{"project_id": true, "tenant_id": true, "user_id": true}

// validAddress tells whether every placeholder can be filled.
func validAddress(url string) bool {
	for _, m := range placeholder.FindAllStringSubmatch(url, -1) {
		if !known[m[1]] {
			return false
		}
	}
	left := placeholder.ReplaceAllString(url, "")
	return !strings.Contains(left, "%(") && !strings.Contains(left, "$(")
}

// address fills an endpoint's address in for a token; false when it needs a
// project and there is none. root is the address the client came by.
func address(url, root, project, user string) (string, bool) {
	ok := true
	out := placeholder.ReplaceAllStringFunc(url, func(m string) string {
		switch placeholder.FindStringSubmatch(m)[1] {
		case "project_id", "tenant_id":
			ok = ok && project != ""
			return project
		case "user_id":
			return user
		}
		ok = false
		return ""
	})
	return absolute(out, root), ok
}

// absolute puts the client's own address before one of ours: a path on the same
// port, or ":PORT" and a path on the same host.
func absolute(url, root string) string {
	switch {
	case strings.HasPrefix(url, "/"):
		return root + url
	case strings.HasPrefix(url, ":"):
		return sameHost(root) + url
	}
	return url
}

// sameHost is an address without its port.
func sameHost(root string) string {
	scheme, host, _ := strings.Cut(root, "://")
	if at := strings.LastIndexByte(host, ':'); at > strings.LastIndexByte(host, ']') {
		host = host[:at]
	}
	return scheme + "://" + host
}
