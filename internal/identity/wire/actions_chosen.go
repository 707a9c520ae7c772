package wire

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/rest"
)

// maxChosen bounds ids that users choose, as upstream's columns do.
const maxChosen = 64

// Chosen is the id that the path of a PUT gives to what it makes. Invalid: too
// long, or nothing that can stand in a path and be shown.
func Chosen(c *rest.Call, name string) (string, error) {
	id := c.Var(name)
	if err := Plain(name, id, maxChosen); err != nil {
		return "", err
	}
	if strings.ContainsAny(id, "/?#") {
		return "", fault.Invalidf("Invalid input for field '%s': '/', '?' and '#' cannot be in an id", name)
	}
	return id, nil
}

// Plain checks a text of at most most characters that is not empty and can be
// shown on one line.
func Plain(name, text string, most int) error {
	switch {
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fault.Invalidf("Invalid input for field '%s': it holds characters that cannot be shown", name)
	case strings.TrimSpace(text) == "":
		return fault.Invalidf("Invalid input for field '%s': it is too short", name)
	case utf8.RuneCountInString(text) > most:
		return fault.Invalidf("Invalid input for field '%s': it is too long (at most %d characters)", name, most)
	}
	return nil
}

// ChosenLink is the link member of one object with a chosen id, at a path below
// /v3 of which each part is given as it is.
func ChosenLink(c *rest.Call, parts ...string) string {
	path := "/v3"
	for _, p := range parts {
		path += "/" + url.PathEscape(p)
	}
	return c.Link(path)
}
