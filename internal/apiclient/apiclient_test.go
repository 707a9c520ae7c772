package apiclient

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// cloud answers as Keystone and Nova do, in the few calls that matter here.
func cloud(t *testing.T) *Client {
	t.Helper()
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	mux.HandleFunc("POST /identity/v3/auth/tokens", func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, r.ContentLength)
		if _, err := r.Body.Read(body); err != nil && err.Error() != "EOF" {
			t.Error(err)
		}
		if !strings.Contains(string(body), `"secret"`) {
			w.WriteHeader(401)
			return
		}
		w.Header().Set("X-Subject-Token", "tok")
		w.WriteHeader(201)
		_, _ = w.Write([]byte(`{"token":{"catalog":[{"type":"compute","name":"nova","endpoints":[{"interface":"public","region":"R","region_id":"R","url":"` +
			srv.URL + `/compute/v2.1"}]},{"type":"image","name":"glance","endpoints":[{"interface":"public","region":"R","region_id":"R","url":"` + srv.URL + `/image"}]}]}}`))
	})
	mux.HandleFunc("GET /compute/v2.1/servers", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Auth-Token") != "tok" || r.Header.Get("OpenStack-API-Version") != "compute 2.50" {
			t.Errorf("headers: %v", r.Header)
		}
		_, _ = w.Write([]byte(`{"servers":[{"id":"1","name":"a"},{"id":"2","name":"aa"},{"id":"3","name":"b"},{"id":"4","name":"b"}]}`))
	})
	mux.HandleFunc("PUT /image/v2/images/i/file", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(204)
	})
	mux.HandleFunc("POST /compute/v2.1/servers", func(w http.ResponseWriter, r *http.Request) {
		var in map[string]any
		if json.NewDecoder(r.Body).Decode(&in) != nil {
			t.Error("no JSON")
		}
		w.WriteHeader(409)
		_, _ = w.Write([]byte(`{"conflictingRequest":{"code":409,"message":"It is busy."}}`))
	})
	c, err := New(t.Context(), Options{AuthURL: srv.URL + "/identity/v3/", User: "u", Password: "secret", Project: "p", Domain: "Default", Region: "R"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), Options{AuthURL: srv.URL + "/identity/v3/", User: "u", Password: "wrong", Project: "p", Domain: "Default"}); !IsUnauthorized(err) {
		t.Fatalf("a wrong password: %v", err)
	}
	return c
}

func TestFindTakesTheExactName(t *testing.T) {
	s, err := cloud(t).Service(Compute, "2.50")
	if err != nil {
		t.Fatal(err)
	}
	o, found, err := s.Find(t.Context(), "servers", "servers", "a", url.Values{})
	if err != nil || !found || o.Text("id") != "1" {
		t.Fatalf("%v %v %v", o, found, err)
	}
	if _, found, err := s.Find(t.Context(), "servers", "servers", "none", nil); err != nil || found {
		t.Fatalf("%v %v", found, err)
	}
	if _, _, err := s.Find(t.Context(), "servers", "servers", "b", nil); err == nil {
		t.Fatal("two of one name passed")
	}
}

func TestErrorsAreReadable(t *testing.T) {
	c := cloud(t)
	s, err := c.Service(Compute, "")
	if err != nil {
		t.Fatal(err)
	}
	err = s.Post(t.Context(), "servers", map[string]any{"server": 1}, nil)
	if !IsConflict(err) || Reason(err) != "It is busy. (409)" {
		t.Fatalf("%v: %s", err, Reason(err))
	}
	if err := s.Delete(t.Context(), "servers/none"); err != nil {
		t.Fatalf("deleting what is gone: %v", err)
	}
	images, err := c.Service(Image, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := images.Upload(t.Context(), "images/i/file", strings.NewReader("bytes")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Service("volumev3", ""); !IsNotServed(err) {
		t.Fatalf("a service that is not there: %v", err)
	}
}
