package metadata_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/agent/metadata"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
)

type host struct {
	told []string
	kept map[string]string // passwords, as the server keeps them
	down bool
}

func (h *host) ServerAt(peer netip.Addr) (string, bool) {
	return map[string]string{"100.64.0.1": "one", "100.64.0.2": "two"}[peer.String()], peer.String() != "192.0.2.1"
}

func (h *host) Metadata(server string) (guest.Metadata, bool) {
	m := guest.Metadata{
		MetaData: json.RawMessage(`{"uuid":"` + server + `"}`), NetworkData: json.RawMessage(`{}`), UserData: []byte("#!/bin/sh"),
		EC2: json.RawMessage(`{"instance-id":"i-00000001","security-groups":["default","web"],"placement":{"availability-zone":"nova"},
			"public-keys":{"0":{"_name":"0=mine","openssh-key":"ssh-ed25519 AAAA"}},"ami-launch-index":0}`),
	}
	m.Password = h.kept[server]
	return m, server != ""
}

func (h *host) Tell(_ context.Context, _ hostlink.Section, object, verb string, params any) error {
	if h.down {
		return fault.Unavailablef("the server is away")
	}
	if params.(map[string]string)["password"] == "late" {
		return fault.Conflictf("there is one")
	}
	h.told = append(h.told, object+" "+verb)
	h.kept[object] = params.(map[string]string)["password"]
	return nil
}

func ask(s http.Handler, method, path, peer, body string) (int, string) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr = peer + ":40000"
	r.Header.Set("X-Instance-ID", "two")
	r.Header.Set("X-Forwarded-For", "100.64.0.2")
	rw := httptest.NewRecorder()
	s.ServeHTTP(rw, r)
	b, _ := io.ReadAll(rw.Result().Body) // a recorder's body does not fail
	return rw.Code, string(b)
}

func TestAnswers(t *testing.T) {
	s := metadata.New(&host{}, &host{}, &host{}, slog.New(slog.DiscardHandler))
	for _, c := range []struct {
		path, peer string
		status     int
		want       string
	}{
		{"/openstack/latest/meta_data.json", "100.64.0.1", 200, `{"uuid":"one"}`},
		{"/openstack/2012-08-10/meta_data.json", "100.64.0.2", 200, `{"uuid":"two"}`},
		{"/openstack/latest/meta_data.json", "192.0.2.1", 404, "404 Not Found\n"},
		{"/openstack/2012-08-10/network_data.json", "100.64.0.1", 404, "404 Not Found\n"},
		{"/openstack/2012-08-10", "100.64.0.1", 200, "meta_data.json\npassword\nuser_data"},
		{"/openstack/latest/", "100.64.0.1", 200, "meta_data.json\nnetwork_data.json\npassword\nuser_data"},
		{"/openstack/1999-01-01", "100.64.0.1", 404, "404 Not Found\n"},
		{"/latest", "100.64.0.1", 200, "meta-data/\nuser-data"},
		{"/latest/meta-data/", "100.64.0.1", 200, "ami-launch-index\ninstance-id\nplacement/\npublic-keys/\nsecurity-groups"},
		{"/2009-04-04/meta-data/public-keys/", "100.64.0.1", 200, "0=mine"},
		{"/2009-04-04/meta-data/public-keys/0/openssh-key", "100.64.0.1", 200, "ssh-ed25519 AAAA"},
		{"/latest/meta-data/security-groups", "100.64.0.1", 200, "default\nweb"},
		{"/latest/meta-data/ami-launch-index", "100.64.0.1", 200, "0"},
		{"/latest/meta-data/instance-id/more", "100.64.0.1", 404, "404 Not Found\n"},
		{"/latest/user-data", "100.64.0.1", 200, "#!/bin/sh"},
		{"/openstack/latest/user_data", "100.64.0.1", 200, "#!/bin/sh"},
		{"/openstack/latest/password", "100.64.0.1", 200, ""},
	} {
		if status, got := ask(s, "GET", c.path, c.peer, ""); status != c.status || got != c.want {
			t.Errorf("%s from %s: %d %q, want %d %q", c.path, c.peer, status, got, c.status, c.want)
		}
	}
	if status, _ := ask(s, "DELETE", "/openstack/latest/meta_data.json", "100.64.0.1", ""); status != 405 {
		t.Errorf("DELETE: %d", status)
	}
}

func TestPasswordIsPostedOnce(t *testing.T) {
	h := &host{kept: map[string]string{}, down: true}
	s := metadata.New(h, h, h, slog.New(slog.DiscardHandler))
	if status, _ := ask(s, "POST", "/openstack/latest/password", "100.64.0.1", "sealed"); status != 503 {
		t.Errorf("with the server away: %d", status)
	}
	h.down = false
	if status, _ := ask(s, "POST", "/openstack/latest/password", "100.64.0.1", "late"); status != 409 { // the document is not here yet
		t.Errorf("the server has one: %d", status)
	}
	if status, _ := ask(s, "POST", "/openstack/latest/password", "100.64.0.1", strings.Repeat("x", 256)); status != 400 {
		t.Errorf("too long: %d", status)
	}
	if status, _ := ask(s, "POST", "/openstack/latest/password", "100.64.0.1", "sealed"); status != 200 {
		t.Errorf("first: %d", status)
	}
	if status, _ := ask(s, "POST", "/openstack/latest/password", "100.64.0.1", "again"); status != 409 {
		t.Errorf("second: %d", status)
	}
	if _, got := ask(s, "GET", "/openstack/latest/password", "100.64.0.1", ""); got != "sealed" {
		t.Errorf("kept %q", got)
	}
	if _, got := ask(s, "GET", "/openstack/latest/password", "100.64.0.2", ""); got != "" {
		t.Errorf("another server reads %q", got)
	}
	if len(h.told) != 1 || h.told[0] != "one password" {
		t.Errorf("told %v", h.told)
	}
}

// FuzzAnswer asks for any path in any tree: no answer but a clean one.
func FuzzAnswer(f *testing.F) {
	f.Add("latest/meta-data/public-keys/0", `{"public-keys":{"0":{"_name":"0=k"}}}`)
	f.Add("openstack/latest/meta_data.json", `[1,{"a":null}]`)
	f.Add("", `not json`)
	f.Fuzz(func(t *testing.T, path, tree string) {
		body, kind, ok := metadata.Answer(guest.Metadata{MetaData: json.RawMessage(`{}`), EC2: json.RawMessage(tree)}, strings.Split(path, "/"))
		if ok && kind == "" {
			t.Errorf("%q: %q without a type", path, body)
		}
	})
}
