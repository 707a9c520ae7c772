package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/mekcloud/mek/internal/fault"
)

const (
	maxRedirects  = 5
	connectWithin = 10 * time.Second
	answerWithin  = 30 * time.Second
)

// Client fetches. Safe for concurrent use.
type Client struct {
	allowed []netip.AddrPort // of the operator: addresses that are not public, or ports that are not usual
	http    *http.Client
}

// New makes a client. allow lists further places, as ADDRESS:PORT.
func New(allow []string) (*Client, error) {
	c := &Client{}
	for _, text := range allow {
		a, err := netip.ParseAddrPort(text)
		if err != nil {
			return nil, fmt.Errorf("allowed address %s: %w", text, err)
		}
		c.allowed = append(c.allowed, a)
	}
	dialer := &net.Dialer{Timeout: connectWithin, Control: func(_, address string, _ syscall.RawConn) error { return c.check(address) }}
	c.http = &http.Client{CheckRedirect: redirect, Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true,
		TLSHandshakeTimeout: connectWithin, ResponseHeaderTimeout: answerWithin, MaxResponseHeaderBytes: 64 << 10}}
	return c, nil
}

var errPlace = errors.New("the address is not one that may be fetched from")

// inner are ranges that look public and are not: between a provider and its
// customers, for documentation and measuring, reserved; and those of IPv6 that
// carry an address of IPv4, which may be any.
var inner = []netip.Prefix{
	netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("::/96"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("2001::/23"),
	netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("fec0::/10"),
}

// check is asked about every address, resolved, right before a connection to it.
func (c *Client) check(address string) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%s: %w", address, errPlace)
	}
	ip := a.Addr().Unmap()
	if slices.Contains(c.allowed, netip.AddrPortFrom(ip, a.Port())) {
		return nil
	}
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || within(inner, ip) || (a.Port() != 80 && a.Port() != 443) {
		return fmt.Errorf("%s: %w", address, errPlace)
	}
	return nil
}

func within(list []netip.Prefix, ip netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(ip) })
}

func redirect(r *http.Request, via []*http.Request) error {
	r.Header.Del("Referer") // it would tell what the first address is, with what is signed in it
	if len(via) > maxRedirects {
		return errors.New("too many redirects")
	}
	return acceptable(r.URL)
}

func acceptable(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fault.Invalidf("Only http and https addresses can be fetched")
	case u.User != nil:
		return fault.Invalidf("An address with credentials in it cannot be fetched")
	case u.Hostname() == "":
		return fault.Invalidf("An address without a host cannot be fetched")
	}
	return nil
}

// Check tells whether an address has a form that can be fetched; Invalid.
func Check(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return fault.Invalidf("Not an address that can be fetched").Because(err)
	}
	return acceptable(u)
}

// Get opens what is at an address, and tells its length, -1 when the other side
// does not. Invalid, whatever fails: users chose the address. The text says no
// more than a status, so that nobody learns what answers inside.
func (c *Client) Get(ctx context.Context, address string) (io.ReadCloser, int64, error) {
	if err := Check(address); err != nil {
		return nil, 0, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, 0, fault.Invalidf("Not an address that can be fetched").Because(err)
	}
	reply, err := c.http.Do(r)
	if err != nil {
		return nil, 0, fault.Invalidf("The address could not be fetched").Because(err)
	}
	if reply.StatusCode != http.StatusOK {
		reply.Body.Close()
		return nil, 0, fault.Invalidf("The address could not be fetched: it answers %s", strconv.Itoa(reply.StatusCode))
	}
	return reply.Body, reply.ContentLength, nil
}
