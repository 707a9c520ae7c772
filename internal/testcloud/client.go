package testcloud

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Client speaks to a cloud with one token.
type Client struct {
	Token     string
	UserID    string
	ProjectID string
	URL       string
	t         testing.TB
	noted     *journal
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	t      testing.TB
}

// Login signs a user of domain Default in to a project.
func (c *Cloud) Login(user, password, project string) *Client {
	c.t.Helper()
	domain := map[string]any{"id": "default"}
	body := map[string]any{"auth": map[string]any{
		"identity": map[string]any{"methods": []string{"password"}, "password": map[string]any{"user": map[string]any{"name": user, "password": password, "domain": domain}}},
		"scope":    map[string]any{"project": map[string]any{"name": project, "domain": domain}}}}
	anonymous := c.Anonymous()
	a := anonymous.Do("POST", "/identity/v3/auth/tokens", body).Expect(http.StatusCreated)
	return &Client{Token: a.Header.Get("X-Subject-Token"), URL: c.URL, t: c.t, noted: c.noted,
		UserID: a.String("token.user.id"), ProjectID: a.String("token.project.id")}
}

// Anonymous is a client without a token.
func (c *Cloud) Anonymous() *Client { return &Client{URL: c.URL, t: c.t, noted: c.noted} }

// Do sends a request. body is nil, a string or []byte sent as it is, or a value
// sent as JSON. headers are pairs of name and value.
func (c *Client) Do(method, path string, body any, headers ...string) *Answer {
	c.t.Helper()
	var content []byte
	switch b := body.(type) {
	case nil:
	case string:
		content = []byte(b)
	case []byte:
		content = b
	default:
		var err error
		content, err = json.Marshal(b)
		must(c.t, err)
	}
	r, err := http.NewRequest(method, c.URL+path, bytes.NewReader(content))
	must(c.t, err)
	if c.Token != "" {
		r.Header.Set("X-Auth-Token", c.Token)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	must(c.t, err)
	defer answer.Body.Close()
	out, err := io.ReadAll(answer.Body)
	must(c.t, err)
	c.noted.add(method, path, answer)
	c.noted.heed(content)
	return &Answer{Status: answer.StatusCode, Header: answer.Header, Body: out, t: c.t}
}

// Get is Do with GET and no body.
func (c *Client) Get(path string, headers ...string) *Answer {
	c.t.Helper()
	return c.Do("GET", path, nil, headers...)
}

// Expect fails the test unless the status is as given.
func (a *Answer) Expect(status int) *Answer {
	a.t.Helper()
	if a.Status != status {
		a.t.Fatalf("status %d, want %d: %s", a.Status, status, a.Body)
	}
	return a
}

// Value walks the JSON body by a path with dots: "server.addresses.private.0.addr".
// What is missing is nil.
func (a *Answer) Value(path string) any {
	a.t.Helper()
	var v any
	if err := json.Unmarshal(a.Body, &v); err != nil {
		a.t.Fatalf("not JSON: %s", a.Body)
	}
	for key := range strings.SplitSeq(path, ".") {
		switch node := v.(type) {
		case map[string]any:
			v = node[key]
		case []any:
			i := 0
			for _, digit := range key {
				i = i*10 + int(digit-'0')
			}
			if i < 0 || i >= len(node) {
				return nil
			}
			v = node[i]
		default:
			return nil
		}
	}
	return v
}

// String is Value for text; the test fails when it is none.
func (a *Answer) String(path string) string {
	a.t.Helper()
	s, ok := a.Value(path).(string)
	if !ok {
		a.t.Fatalf("%s is not text in %s", path, a.Body)
	}
	return s
}

// List is Value for a list; the test fails when it is none.
func (a *Answer) List(path string) []any {
	a.t.Helper()
	l, ok := a.Value(path).([]any)
	if !ok {
		a.t.Fatalf("%s is not a list in %s", path, a.Body)
	}
	return l
}
