package db

import (
	"database/sql/driver"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/huandu/go-sqlbuilder"
	"modernc.org/sqlite"

	"github.com/mekcloud/mek/internal/listing"
)

// matches is a regular expression search without regard to case. Its syntax is
// the intersection of RE2 and PostgreSQL's; callers check it with regexp first.
func matches(c *sqlbuilder.Cond, t listing.Term, engine Engine) string {
	if text := fmt.Sprint(t.Values[0]); plain(text) { // the search for it needs no machine
		return "LOWER(" + t.Column + ") LIKE " + c.Var("%"+escapeLike(strings.ToLower(text))+"%") + ` ESCAPE '\'`
	}
	if engine == Postgres {
		return t.Column + " ~* " + c.Var(t.Values[0])
	}
	return "regexp(" + c.Var(t.Values[0]) + ", " + t.Column + ")"
}

// plain tells whether an expression stands for itself: ASCII without operators.
func plain(pattern string) bool {
	for i := range len(pattern) {
		if pattern[i] < 0x20 || pattern[i] >= 0x7f {
			return false
		}
	}
	return regexp.QuoteMeta(pattern) == pattern && len(pattern) <= longestPattern
}

// registerRegexp gives SQLite the function it has an operator but no code for,
// on connections opened later.
var registerRegexp = sync.OnceFunc(func() {
	var last struct {
		sync.Mutex
		text string
		re   *regexp.Regexp
	}
	sqlite.MustRegisterDeterministicScalarFunction("regexp", 2, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		pattern, text := fmt.Sprint(args[0]), fmt.Sprint(args[1])
		last.Lock()
		defer last.Unlock()
		if last.re == nil || last.text != pattern {
			re, err := regexp.Compile("(?i)" + pattern)
			if err != nil {
				return nil, err
			}
			last.text, last.re = pattern, re
		}
		return last.re.MatchString(text), nil
	})
})
