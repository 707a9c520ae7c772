package oidc

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

const (
	within       = 10 * time.Second // a call, and a login as a whole
	maxAnswer    = 1 << 20          // bytes, decompressed
	maxRedirects = 3
)

// newClient bounds what a call may take: time, bytes, redirects, places.
func newClient(given *http.Client, plain bool) *http.Client {
	var through http.RoundTripper
	if given != nil {
		through = given.Transport
	}
	if through == nil {
		through = &http.Transport{Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: within, ResponseHeaderTimeout: within,
			MaxResponseHeaderBytes: 64 << 10, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true}
	}
	return &http.Client{Timeout: within, CheckRedirect: redirect, Transport: bounded{through, plain}}
}

// redirect follows those of documents that anybody may read.
func redirect(r *http.Request, via []*http.Request) error {
	if first := via[0]; first.Method != http.MethodGet || first.Header.Get("Authorization") != "" || len(via) > maxRedirects {
		return errRedirect
	}
	r.Header.Del("Referer")
	return nil
}

// bounded is a transport that goes to permitted places and reads no more than maxAnswer.
type bounded struct {
	http.RoundTripper
	plain bool // http is permitted on loopback
}

// RoundTrip checks each address, also of a redirect, right before it is called.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if !permitted(r.URL, b.plain) {
		return nil, fmt.Errorf("%s: %w", r.URL.Redacted(), errAddress)
	}
	reply, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	reply.Body = &limited{reply.Body, maxAnswer}
	return reply, nil
}

// limited is a body that fails when it is too long, where io.LimitReader would cut it.
type limited struct {
	io.ReadCloser
	left int
}

// Read fails as soon as one byte too many has come.
func (l *limited) Read(b []byte) (int, error) {
	n, err := l.ReadCloser.Read(b[:min(len(b), l.left+1)])
	if l.left -= n; l.left < 0 {
		l.left = 0
		return 0, errTooLong
	}
	return n, err
}

// permitted tells whether an address may be called, or a browser sent to.
func permitted(u *url.URL, plain bool) bool {
	if u.User != nil || u.Hostname() == "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && plain && loopback(u.Hostname())
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// answer is what a provider has said.
type answer struct {
	status int
	kind   string // media type
	body   []byte
}

// call sends a request; Unavailable when no whole answer comes.
func (p *Provider) call(ctx context.Context, method, address string, form url.Values, prepare func(*http.Request)) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, silent(err)
	}
	r.Header.Set("Accept", "application/json")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	prepare(r)
	reply, err := p.http.Do(r)
	if err != nil {
		return answer{}, silent(err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		return answer{}, silent(fmt.Errorf("answer of %s: %w", r.URL.Redacted(), err))
	}
	kind, _, err := mime.ParseMediaType(reply.Header.Get("Content-Type"))
	if err != nil {
		kind = "" // then it is taken for JSON
	}
	return answer{reply.StatusCode, kind, body}, nil
}

// unexpected is the fault of an answer that a provider should not give.
func (a answer) unexpected(what string) error {
	return silent(fmt.Errorf("the %s endpoint answers %d", what, a.status))
}
