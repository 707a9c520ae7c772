package access

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
)

// AccountList is the access list of an account: people and projects by level.
type AccountList struct{ Admin, ReadWrite, ReadOnly []string }

// levels are the members of an account's list, in the order of their worth.
var levels = []string{"admin", "read-only", "read-write"}

// ParseAccount reads a stored account list; an unreadable one names nobody.
func ParseAccount(text string) AccountList {
	l, _ := readAccount(text) // it was checked when it was stored
	return l
}

// CleanAccount checks X-Account-Access-Control and gives its shortest spelling.
// An empty list gives an empty text. Its error is fit for users.
func CleanAccount(text string) (string, error) {
	if text == "" || text == "{}" {
		return "", nil
	}
	if _, err := readAccount(text); err != nil {
		return "", err
	}
	var members map[string][]string
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		return "", fmt.Errorf("X-Account-Access-Control: %w", err)
	}
	return ascii(members), nil
}

func readAccount(text string) (AccountList, error) {
	var members map[string]json.RawMessage
	if text == "" {
		return AccountList{}, nil
	}
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		return AccountList{}, fmt.Errorf("Syntax error in %s", repr(text)) //nolint:staticcheck // shown to users in Swift's words
	}
	lists := map[string][]string{}
	names := make([]string, 0, len(members))
	for name := range members {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if !slices.Contains(levels, name) {
			return AccountList{}, fmt.Errorf("Key %s not recognized", repr(name)) //nolint:staticcheck // shown to users in Swift's words
		}
		var list []string
		if err := json.Unmarshal(members[name], &list); err != nil {
			return AccountList{}, fmt.Errorf("Value for key %s must be a list", repr(name)) //nolint:staticcheck // shown to users in Swift's words
		}
		lists[name] = list
	}
	return AccountList{Admin: lists["admin"], ReadWrite: lists["read-write"], ReadOnly: lists["read-only"]}, nil
}

// ascii writes JSON with sorted members, no blanks and no byte above 127, so
// that it fits into a header.
func ascii(members map[string][]string) string {
	content, _ := json.Marshal(members) // texts and lists always encode
	var b strings.Builder
	for _, r := range string(content) {
		switch {
		case r < 128:
			b.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		}
	}
	return b.String()
}
