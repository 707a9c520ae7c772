package samltest

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/mekcloud/mek/internal/id"
)

var errPage = errors.New("no page with a form")

// Browse signs a user in as a browser does: it carries a request to the
// provider, by address or, when fields is not nil, as a form, and gives the form
// that comes back: where to post it, and its fields.
func (p *Provider) Browse(ctx context.Context, user, address string, fields url.Values) (action string, form url.Values, err error) {
	method, body := http.MethodGet, io.Reader(nil)
	if fields != nil {
		method, body = http.MethodPost, strings.NewReader(fields.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return "", nil, err
	}
	if fields != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	page, err := p.Send(req, user)
	if err != nil {
		return "", nil, err
	}
	return Form(page)
}

// Send sends a request in the name of a user, and gives the body of a reply of
// 200; any other is an error.
func (p *Provider) Send(req *http.Request, user string) ([]byte, error) {
	req.SetBasicAuth(user, p.users[user].Password)
	client := http.Client{Timeout: time.Minute}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", req.Method, req.URL, resp.Status, bytes.TrimSpace(body))
	}
	return body, err
}

// Form reads the form of a page that posts itself.
func Form(page []byte) (action string, fields url.Values, err error) {
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(page); err != nil {
		return "", nil, err
	}
	f := doc.FindElement("//form")
	if f == nil {
		return "", nil, errPage
	}
	fields = url.Values{}
	for _, input := range f.FindElements(".//input") {
		if name := input.SelectAttrValue("name", ""); name != "" {
			fields.Set(name, input.SelectAttrValue("value", ""))
		}
	}
	return f.SelectAttrValue("action", ""), fields, nil
}

type random struct{}

func (random) Read(b []byte) (int, error) { return copy(b, id.Bytes(len(b))), nil }

func newKey(now time.Time) (*rsa.PrivateKey, *x509.Certificate, error) {
	key, err := rsa.GenerateKey(random{}, 2048)
	if err != nil {
		return nil, nil, err
	}
	t := &x509.Certificate{SerialNumber: new(big.Int).SetBytes(id.Bytes(16)), Subject: pkix.Name{CommonName: "samltest"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(10 * 365 * 24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(random{}, t, t, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return key, cert, err
}
