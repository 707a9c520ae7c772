package wire

import (
	"strings"

	"github.com/mekcloud/mek/internal/policy"
)

// Rules are policy rules of one resource, by the check that is their default.
// What a rule is about is said by the last part of its name.
func Rules(resource string, byCheck map[string][]string) []policy.Rule {
	var out []policy.Rule
	for check, names := range byCheck {
		for _, name := range names {
			out = append(out, policy.Rule{Name: name, Check: check,
				Description: resource + ": " + strings.ReplaceAll(name[strings.LastIndex(name, ":")+1:], "_", " ") + "."})
		}
	}
	return out
}
