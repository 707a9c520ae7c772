package objectstoreapi_test

import (
	"encoding/json"
	"slices"
	"testing"
)

// TestVersionsAsSwiftHasThem looks at what differs from S3: nothing else becomes
// current when a current version goes, and a version comes back under its own name.
func TestVersionsAsSwiftHasThem(t *testing.T) {
	s := open(t)
	s.do("PUT", "/v", nil, "X-Versions-Enabled", "true").Expect(201)
	put := func(body string) string {
		return s.do("PUT", "/v/o", body).Expect(201).Header.Get("X-Object-Version-Id")
	}
	shows := func(query string, want ...string) {
		t.Helper()
		var list []struct {
			Version string `json:"version_id"`
			Latest  bool   `json:"is_latest"`
		}
		if err := json.Unmarshal(s.do("GET", "/v?versions"+query, nil).Expect(200).Body, &list); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range list {
			if e.Latest {
				e.Version += "*"
			}
			got = append(got, e.Version)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%s shows %q, want %q", query, got, want)
		}
	}
	one, two, three := put("one"), put("two"), put("three")
	shows("", three+"*", two, one)
	shows("&reverse=true", one, two, three+"*")
	shows("&reverse=true&marker=o&version_marker="+two, three+"*")
	shows("&marker=o&version_marker=null", three+"*", two, one)

	s.header(s.do("PUT", "/v/o?version-id="+two, nil).Expect(201), "X-Object-Version-Id", two)
	shows("", three, two+"*", one)
	shows("&reverse=true", one, two+"*", three)
	s.expect(s.do("GET", "/v/o", nil), 200, "two")
	s.header(s.do("DELETE", "/v/o?version-id="+two, nil).Expect(204), "X-Object-Current-Version-Id", "null")
	s.do("GET", "/v/o", nil).Expect(404)
	shows("", three, one)

	s.do("PUT", "/v/o?version-id="+one, nil).Expect(201)
	s.do("DELETE", "/v/o?version-id=null", nil).Expect(204)
	s.do("DELETE", "/v/o?version-id=null", nil).Expect(404)
	s.do("GET", "/v/o", nil).Expect(404)
	shows("", three, one)

	s.do("PUT", "/v/o?version-id="+one, nil).Expect(201)
	s.do("POST", "/v", nil, "X-Versions-Enabled", "false").Expect(204)
	s.do("DELETE", "/v/o", nil).Expect(204)
	shows("", three, one)
	s.do("PUT", "/v/o", "plain").Expect(201)
	shows("", "null*", three, one)
	s.do("DELETE", "/v/o", nil).Expect(204)
	s.do("DELETE", "/v/o", nil).Expect(404)
	shows("", three, one)
	s.expect(s.do("GET", "/v/o?version-id="+three, nil), 200, "three")
}
