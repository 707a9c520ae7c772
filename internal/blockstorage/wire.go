package blockstorage

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
)

// Time is a time as this API writes it: microseconds, no zone; 0 is null.
func Time(us int64) any {
	if us == 0 {
		return nil
	}
	return stamp(us)
}

// TimeOrEmpty is Time with "" for never, as attachments write it.
func TimeOrEmpty(us int64) string {
	if us == 0 {
		return ""
	}
	return stamp(us)
}

func stamp(us int64) string {
	return clock.FromMicros(us).Format("2006-01-02T15:04:05.000000")
}

// TimeSeconds is a time of operator views, which some clients parse strictly.
func TimeSeconds(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000") }

// OrNull is a text that may be shown as null.
func OrNull(text string, null bool) any {
	if null {
		return nil
	}
	return text
}

// NullIfEmpty shows an empty id as null.
func NullIfEmpty(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// CheckMetadata refuses keys and values that upstream refuses. Too long ones are TooLarge there.
func CheckMetadata(meta map[string]string) error {
	for k, v := range meta {
		switch {
		case k == "":
			return fault.Invalidf("Metadata property key blank.")
		case utf8.RuneCountInString(k) > 255:
			return fault.New(fault.TooLarge, "Metadata property key greater than 255 characters.")
		case utf8.RuneCountInString(v) > 255:
			return fault.New(fault.TooLarge, "Metadata property value greater than 255 characters.")
		}
	}
	return nil
}

// ParseDict reads the dictionaries that clients put into queries: JSON, or
// Python's spelling of one with single quotes.
func ParseDict(text string) (map[string]string, error) {
	var out map[string]string
	if json.Unmarshal([]byte(text), &out) == nil {
		return out, nil
	}
	swapped := strings.NewReplacer(`u'`, `"`, `\'`, `'`, `"`, `\"`, `'`, `"`).Replace(text)
	if err := json.Unmarshal([]byte(swapped), &out); err != nil || out == nil {
		return nil, fault.Invalidf("Could not evaluate value %s, assuming string", text)
	}
	return out, nil
}
