package joining

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/pki"
)

const (
	askTimeout = 15 * time.Second
	maxAnswer  = 256 << 10
)

// Refusal is a server's word that it will not; trying again does not help.
type Refusal struct{ Text string }

func (r Refusal) Error() string { return r.Text }

// AskToJoin proves a token to the first server that answers.
func AskToJoin(ctx context.Context, t Token, host string, csr []byte) (Answer, error) {
	var failed []error
	for _, api := range t.API {
		root, err := authority(ctx, api, t.Fingerprint)
		if err == nil {
			var a Answer
			if a, err = ask(ctx, api, root, pathJoin, Request{ID: t.ID, Secret: t.Secret, Host: host, CSR: csr}); err == nil {
				return a, nil
			}
		}
		if refused := (Refusal{}); errors.As(err, &refused) {
			return Answer{}, err
		}
		failed = append(failed, err)
	}
	return Answer{}, errors.Join(failed...)
}

// AskToRenew asks servers, whose root certificate is in root, for a new certificate.
func AskToRenew(ctx context.Context, api []string, root, csr []byte) (Answer, error) {
	var failed []error
	for _, at := range api {
		a, err := ask(ctx, at, root, pathRenew, map[string]any{"csr": csr})
		if err == nil {
			return a, nil
		}
		failed = append(failed, err)
	}
	return Answer{}, errors.Join(failed...)
}

// authority fetches the root certificate from a server that cannot be checked
// yet, and checks it by the fingerprint that came another way.
func authority(ctx context.Context, api, fingerprint string) ([]byte, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true} // nothing secret is sent, and what comes is compared below
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(api, "/")+pathAuthority, nil)
	if err != nil {
		return nil, fmt.Errorf("ask for the root certificate: %w", err)
	}
	root, err := send(req, conf)
	if err != nil {
		return nil, err
	}
	if got, err := pki.Fingerprint(root); err != nil || got != fingerprint {
		return nil, Refusal{"the server at " + api + " is not the one that made the token: its root certificate is another"}
	}
	return root, nil
}

func ask(ctx context.Context, api string, root []byte, path string, body any) (Answer, error) {
	var a Answer
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(root) {
		return a, errors.New("there is no root certificate")
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return a, fmt.Errorf("encode request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(api, "/")+path, bytes.NewReader(raw))
	if err != nil {
		return a, fmt.Errorf("ask the server: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	out, err := send(req, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool})
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(out, &a); err != nil {
		return a, fmt.Errorf("answer of the server: %w", err)
	}
	return a, nil
}

func send(req *http.Request, conf *tls.Config) ([]byte, error) {
	client := &http.Client{Timeout: askTimeout, Transport: &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true, Proxy: nil},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the server does not answer: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("the server's answer was cut off: %w", err)
	}
	text := strings.TrimSpace(string(body))
	switch {
	case resp.StatusCode == http.StatusOK:
		return body, nil
	case resp.StatusCode >= 400 && resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests:
		return nil, Refusal{text}
	}
	return nil, fmt.Errorf("the server answers %s: %s", resp.Status, text)
}
