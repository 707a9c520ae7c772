package proxies

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/mekcloud/mek/internal/fault"
)

// Networks asks the public network API inside this process.
type Networks struct {
	front func() http.Handler // of the front door; known once the cloud is built
}

// NewNetworks makes the client. front is called for each request.
func NewNetworks(front func() http.Handler) *Networks { return &Networks{front} }

// answer collects what the front door writes.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }
func (a *answer) WriteHeader(status int)      { a.status = status }

// do sends a request to networks with a caller's token. out may be nil.
func (n *Networks) do(ctx context.Context, token, method, path string, query url.Values, in, out any) error {
	return n.send(ctx, token, method, "/networking/v2.0"+path, query, in, out)
}

// send sends a request to any service with a caller's token. out may be nil.
func (n *Networks) send(ctx context.Context, token, method, path string, query url.Values, in, out any) error {
	var content []byte
	if in != nil {
		var err error
		if content, err = json.Marshal(in); err != nil {
			return fault.Internalf("encode request to %s: %w", path, err)
		}
	}
	address := "http://local" + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(content))
	if err != nil {
		return fault.Internalf("request to %s: %w", path, err)
	}
	r.RequestURI = r.URL.RequestURI()
	r.Header.Set("X-Auth-Token", token)
	a := &answer{header: http.Header{}, status: http.StatusOK}
	n.front().ServeHTTP(a, r)
	if a.status >= http.StatusBadRequest {
		return refusal(a)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(a.body.Bytes(), out); err != nil {
		return fault.Internalf("answer to %s %s: %w", method, path, err)
	}
	return nil
}

// refusal is another service's error as a fault with the same meaning.
func refusal(a *answer) error {
	text := "The request was refused by the service that it was passed on to."
	var body map[string]struct{ Message string } // NeutronError, or Cinder's word for the status
	if err := json.Unmarshal(a.body.Bytes(), &body); err == nil {
		for _, e := range body {
			text = cmp.Or(e.Message, text)
		}
	}
	return fault.New(kinds[a.status], "%s", text)
}

// kinds are what the statuses of other services mean.
var kinds = map[int]fault.Kind{http.StatusBadRequest: fault.Invalid, http.StatusUnauthorized: fault.Unauthenticated, http.StatusForbidden: fault.Forbidden,
	http.StatusNotFound: fault.NotFound, http.StatusConflict: fault.Conflict, http.StatusNotImplemented: fault.NotImplemented,
	http.StatusServiceUnavailable: fault.Unavailable, http.StatusRequestEntityTooLarge: fault.OverQuota}
