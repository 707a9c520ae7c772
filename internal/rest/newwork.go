package rest

import (
	"net/http"
	"strings"
)

// newWork tells whether a request asks for something that takes room and can
// wait. Reads, deletes, logins, and actions that give something back go on when
// a disk is full.
func (c *Call) newWork() bool {
	if c.route.Open || c.Method != http.MethodPost && c.Method != http.MethodPut && c.Method != http.MethodPatch {
		return false
	}
	action := strings.ToLower(c.Action)
	for _, less := range []string{"delete", "detach", "stop", "remove", "terminate", "roll", "reset"} {
		if strings.Contains(action, less) {
			return false
		}
	}
	return true
}
