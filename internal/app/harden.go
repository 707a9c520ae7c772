package app

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/clock"
)

// Content policies: our own answers are data, never a page. What users have put
// into the object store may be one; it must not act for who looks at it, so it
// gets an origin of its own wherever it is shown.
const (
	apiContent  = "default-src 'none'; frame-ancestors 'none'"
	userContent = "sandbox allow-scripts allow-forms allow-popups allow-downloads"
)

// harden is what every request passes first and every answer carries, whatever
// handles it: names of who asks that only this process may say are taken away,
// bodies have to move, and browsers are told to trust nothing.
func harden(next http.Handler, policy string, stalled time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["X-Content-Type-Options"] = nosniff
		h["X-Frame-Options"] = deny
		h["Referrer-Policy"] = noReferrer
		if r.TLS != nil {
			h["Strict-Transport-Security"] = forAYear
		}
		content := policy
		if strings.HasPrefix(r.URL.Path, "/v1/") {
			content = userContent // Swift on the front door
		}
		h.Set("Content-Security-Policy", content)
		dropIdentity(r.Header)
		if r.Body != nil && r.Body != http.NoBody {
			body := &movingBody{ReadCloser: r.Body, control: http.NewResponseController(w), stalled: stalled}
			if body.move() != nil {
				return // the connection is gone
			}
			r.Body = body
		}
		next.ServeHTTP(w, r)
	})
}

// The values are shared between answers: net/http does not change them.
var (
	nosniff    = []string{"nosniff"}
	deny       = []string{"DENY"}
	noReferrer = []string{"no-referrer"}
	forAYear   = []string{"max-age=31536000"}
)

// identityHeaders are those that middleware in front of OpenStack's services
// sets, for services that believe it. Ours believe tokens only; they are taken
// away so that no handler ever comes to trust them.
var identityHeaders = []string{"X-Identity-Status", "X-Service-Identity-Status", "X-Domain-", "X-Project-", "X-User-", "X-User", "X-Roles", "X-Role",
	"X-Service-Domain-", "X-Service-Project-", "X-Service-User-", "X-Service-Roles", "X-Service-Catalog", "X-Is-Admin", "X-Tenant", "X-System-Scope",
	"X-Token-Info", "X-Trust-", "X-Instance-Id", "X-Provider-Signature", "X-Forwarded", "Forwarded", "X-Real-Ip", "X-Remote-", "Remote-User", "Openstack-System-Scope"}

// dropIdentity takes identity headers away, in any spelling: an underscore is a
// hyphen for whoever made an environment variable of the name.
func dropIdentity(h http.Header) {
	for name := range h {
		if len(name) < 6 || name[0] != 'X' && name[0] != 'F' && name[0] != 'R' && name[0] != 'O' {
			continue
		}
		plain := name
		if strings.IndexByte(name, '_') >= 0 {
			plain = http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
		}
		for _, forged := range identityHeaders {
			if strings.HasPrefix(plain, forged) {
				delete(h, name)
				break
			}
		}
	}
}

// movingBody breaks off when nothing of it comes for a while.
type movingBody struct {
	io.ReadCloser
	control *http.ResponseController
	stalled time.Duration // how long it may stand still
	until   time.Time
}

// move sets the time by which more has to come. It begins before the first read:
// what no handler reads is read by net/http, to find the next request.
func (b *movingBody) move() error {
	now := clock.Real{}.Now()
	if b.until.Sub(now) > b.stalled*7/8 { // not for each read: they may be small
		return nil
	}
	b.until = now.Add(b.stalled)
	if err := b.control.SetReadDeadline(b.until); !errors.Is(err, http.ErrNotSupported) { // without a connection, inside of this process
		return err
	}
	return nil
}

func (b *movingBody) Read(p []byte) (int, error) {
	if err := b.move(); err != nil {
		return 0, err
	}
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		// What comes after a whole body is not bounded: it may be long work. After
		// another error the limit stays: what is left of the body is thrown away.
		_ = b.control.SetReadDeadline(time.Time{}) // fails as above
	}
	return n, err
}
