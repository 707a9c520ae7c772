package swift

import (
	"fmt"
	"net/http"
	"sort"
	"strings"
	"unicode/utf8"
)

// Swift's limits, as /info shows them. Lengths are bytes.
const (
	MaxFileSize            = 5368709122
	MaxMetaNameLength      = 128
	MaxMetaValueLength     = 256
	MaxMetaCount           = 90
	MaxMetaOverallSize     = 4096
	MaxHeaderSize          = 8192
	MaxObjectNameLength    = 1024
	MaxContainerNameLength = 256
	MaxAccountNameLength   = 256
	ListingLimit           = 10000
)

// The prefixes of users' own attributes.
const (
	AccountMeta   = "X-Account-Meta-"
	ContainerMeta = "X-Container-Meta-"
	ObjectMeta    = "X-Object-Meta-"
)

// ValidText tells whether a name or value is UTF-8 without NUL and not empty.
func ValidText(text string) bool {
	return text != "" && utf8.ValidString(text) && strings.IndexByte(text, 0) < 0
}

// CheckMetadata checks the attributes of a request whose names begin with
// prefix, one of the three above.
func CheckMetadata(h http.Header, prefix string) error {
	count, size := 0, 0
	for _, name := range sortedNames(h) {
		for _, value := range h[name] {
			if len(value) > MaxHeaderSize {
				return FailPlain(http.StatusBadRequest, "Header value too long: "+name[:min(len(name), MaxMetaNameLength)])
			}
		}
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		key, value := name[len(prefix):], h.Get(name)
		count, size = count+1, size+len(key)+len(value)
		if text := metadataFault(prefix, key, value); text != "" {
			return FailPlain(http.StatusBadRequest, text)
		}
		if count > MaxMetaCount {
			return FailPlain(http.StatusBadRequest, fmt.Sprintf("Too many metadata items; max %d", MaxMetaCount))
		}
		if size > MaxMetaOverallSize {
			return FailPlain(http.StatusBadRequest, fmt.Sprintf("Total metadata too large; max %d", MaxMetaOverallSize))
		}
	}
	return nil
}

func metadataFault(prefix, key, value string) string {
	shown := strings.ToLower(prefix) + key
	switch {
	case key == "":
		return "Metadata name cannot be empty"
	case prefix != ObjectMeta && (!ValidText(key) || value != "" && !ValidText(value)):
		return "Metadata must be valid UTF-8"
	case len(key) > MaxMetaNameLength:
		return "Metadata name too long: " + shown
	case len(value) > MaxMetaValueLength:
		return fmt.Sprintf("Metadata value longer than %d: %s", MaxMetaValueLength, shown)
	}
	return ""
}

// CheckKept checks all attributes together that an account or container keeps
// after a change: the limits hold for the sum as well.
func CheckKept(kept map[string]string, prefix string) error {
	count, size := 0, 0
	for name, value := range kept {
		if key, ok := strings.CutPrefix(name, prefix); ok {
			count, size = count+1, size+len(key)+len(value)
		}
	}
	if count > MaxMetaCount {
		return FailPlain(http.StatusBadRequest, fmt.Sprintf("Too many metadata items; max %d", MaxMetaCount))
	}
	if size > MaxMetaOverallSize {
		return FailPlain(http.StatusBadRequest, fmt.Sprintf("Total metadata too large; max %d", MaxMetaOverallSize))
	}
	return nil
}

func sortedNames(h http.Header) []string {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// SplitPath reads "/container/object" of a header, escaped, with or without the
// slash in front.
func SplitPath(header string) (container, object string, ok bool) {
	text := Unquote(header)
	if !ValidText(text) {
		return "", "", false
	}
	container, object, ok = strings.Cut(strings.TrimPrefix(text, "/"), "/")
	return container, object, ok && container != "" && object != ""
}

// AccountName reads an account's name of a header.
func AccountName(header string) (string, error) {
	name := Unquote(header)
	switch {
	case !ValidText(name):
		return "", FailText(http.StatusPreconditionFailed, "Account name cannot be empty")
	case strings.Contains(name, "/"):
		return "", FailText(http.StatusPreconditionFailed, "Account name cannot contain slashes")
	}
	return name, nil
}
