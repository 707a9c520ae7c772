package access

import (
	"fmt"
	"net/url"
	"strings"
)

// List is an access list of a container, read.
type List struct {
	Referrers []string // without ".r:", "-" in front of those that are refused
	Groups    []string // projects and users, roles, ".rlistings"
}

// Listings lets whom a referrer lets in see listings as well.
const Listings = ".rlistings"

// Parse reads a cleaned access list.
func Parse(text string) List {
	var l List
	if text == "" {
		return l
	}
	for item := range strings.SplitSeq(text, ",") {
		if referrer, ok := strings.CutPrefix(item, ".r:"); ok {
			l.Referrers = append(l.Referrers, referrer)
			continue
		}
		if plain, err := url.PathUnescape(item); err == nil {
			item = plain
		}
		l.Groups = append(l.Groups, item)
	}
	return l
}

// Has tells whether the list names a group.
func (l List) Has(group string) bool {
	for _, g := range l.Groups {
		if g == group {
			return true
		}
	}
	return false
}

// hasRole is Has in any case.
func (l List) hasRole(role string) bool {
	for _, g := range l.Groups {
		if strings.EqualFold(g, role) {
			return true
		}
	}
	return false
}

// Referrer tells whether the address in a Referer header is let in. Later items win.
func (l List) Referrer(referer string) bool {
	if len(l.Referrers) == 0 {
		return false
	}
	host := "unknown"
	if u, err := url.Parse(referer); err == nil && u.Hostname() != "" {
		host = strings.ToLower(u.Hostname())
	}
	allowed := false
	for _, pattern := range l.Referrers {
		if refused, ok := strings.CutPrefix(pattern, "-"); ok {
			if ofDomain(host, refused) {
				allowed = false
			}
		} else if pattern == "*" || ofDomain(host, pattern) {
			allowed = true
		}
	}
	return allowed
}

func ofDomain(host, pattern string) bool {
	return pattern == host || strings.HasPrefix(pattern, ".") && strings.HasSuffix(host, pattern)
}

// Clean gives an access list without blanks and in short spelling. Its error is
// fit for users. Referrers make no sense in lists for writing.
func Clean(text string, writing bool) (string, error) {
	var items []string
	for raw := range strings.SplitSeq(text, ",") {
		raw = strings.TrimSpace(raw)
		first, second, found := strings.Cut(raw, ":")
		first, second = strings.TrimSpace(first), strings.TrimSpace(second)
		switch {
		case raw == "":
		case !found || !strings.HasPrefix(first, "."):
			items = append(items, raw)
		case first == ".r" || first == ".ref" || first == ".referer" || first == ".referrer":
			item, err := cleanReferrer(raw, second, writing)
			if err != nil {
				return "", err
			}
			items = append(items, item)
		default:
			return "", fmt.Errorf("Unknown designator %s in ACL: %s", repr(first), repr(raw)) //nolint:staticcheck // Swift's words
		}
	}
	return strings.Join(items, ","), nil
}

func cleanReferrer(raw, host string, writing bool) (string, error) {
	if writing {
		return "", fmt.Errorf("Referrers not allowed in write ACL: %s", repr(raw)) //nolint:staticcheck // Swift's words
	}
	sign := ""
	if refused, ok := strings.CutPrefix(host, "-"); ok {
		sign, host = "-", strings.TrimSpace(refused)
	}
	if domain, ok := strings.CutPrefix(host, "*"); ok && domain != "" {
		host = strings.TrimSpace(domain)
	}
	if host == "" || host == "." {
		return "", fmt.Errorf("No host/domain value after referrer designation in ACL: %s", repr(raw)) //nolint:staticcheck // Swift's words
	}
	return ".r:" + sign + host, nil
}

// repr quotes a text as Python does.
func repr(text string) string {
	if strings.Contains(text, "'") && !strings.Contains(text, `"`) {
		return `"` + text + `"`
	}
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(text) + "'"
}
