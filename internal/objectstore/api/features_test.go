package objectstoreapi_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/testcloud"
)

func TestAccessLists(t *testing.T) {
	s := open(t)
	admin, nobody := s.cloud.Admin, s.cloud.Anonymous()
	s.do("PUT", "/c", nil, "X-Container-Meta-Temp-Url-Key", "secret").Expect(201)
	s.put("/c/o", "hello")
	get := func(c *testcloud.Client, path string, status int, headers ...string) *testcloud.Answer {
		t.Helper()
		return c.Do("GET", s.account+path, nil, headers...).Expect(status)
	}
	allow := func(headers ...string) { s.do("POST", "/c", nil, headers...).Expect(204) }

	a := get(nobody, "/c/o", 401)
	if got := a.Header.Values("Www-Authenticate"); len(got) != 2 || got[0] != `Swift realm="AUTH_`+s.demo.ProjectID+`"` {
		t.Errorf("challenge %q", got)
	}
	get(nobody, "/none", 401)
	get(nobody, "", 401)
	get(admin, "/c/o", 403)
	get(admin, "/c/none", 403)
	get(admin, "/none", 403)
	get(nobody, "/c/o", 401, "X-Auth-Token", "dead")

	allow("X-Container-Read", ".r:*")
	s.expect(get(nobody, "/c/o", 200), 200, "hello")
	get(nobody, "/c", 401)
	get(nobody, "/c/none", 404)
	get(admin, "/c/o", 200)
	get(admin, "/c", 403)
	allow("X-Container-Read", ".r:*,.rlistings")
	a = get(nobody, "/c", 200)
	s.header(a, "X-Container-Read", "")
	s.header(a, "X-Container-Meta-Temp-Url-Key", "")
	s.header(s.do("HEAD", "/c", nil), "X-Container-Meta-Temp-Url-Key", "secret")
	allow("X-Container-Read", ".r:.example.com")
	get(nobody, "/c/o", 200, "Referer", "http://www.example.com/x")
	get(nobody, "/c/o", 401, "Referer", "http://www.example.org/x")

	allow("X-Container-Read", admin.ProjectID+":"+admin.UserID, "X-Container-Write", "")
	get(admin, "/c/o", 200)
	get(admin, "/c", 200)
	admin.Do("PUT", s.account+"/c/o", "x").Expect(403)
	admin.Do("POST", s.account+"/c", nil).Expect(403)
	allow("X-Container-Read", "admin:admin", "X-Container-Write", "*:"+admin.UserID)
	get(admin, "/c/o", 200)
	admin.Do("PUT", s.account+"/c/o", "x").Expect(201)
	admin.Do("DELETE", s.account+"/c/o", nil).Expect(204)
	admin.Do("DELETE", s.account+"/c", nil).Expect(403)
	allow("X-Container-Read", "", "X-Container-Write", "")

	s.do("POST", "", nil, "X-Account-Access-Control", `{"read-only": ["`+admin.UserID+`"]}`).Expect(204)
	s.header(s.do("HEAD", "", nil), "X-Account-Access-Control", `{"read-only":["`+admin.UserID+`"]}`)
	s.header(get(admin, "", 200), "X-Account-Access-Control", "")
	admin.Do("PUT", s.account+"/d", nil).Expect(403)
	s.do("POST", "", nil, "X-Account-Access-Control", `{"read-write": ["`+admin.UserID+`"]}`).Expect(204)
	admin.Do("PUT", s.account+"/d", nil).Expect(201)
	admin.Do("POST", s.account, nil, "X-Account-Meta-A", "b").Expect(403)
	s.do("POST", "", nil, "X-Account-Access-Control", `{"admin": ["`+admin.ProjectID+`"]}`).Expect(204)
	admin.Do("POST", s.account, nil, "X-Account-Meta-A", "b").Expect(204)
	s.do("POST", "", nil, "X-Account-Access-Control", `nonsense`).Expect(400)
}

func TestReseller(t *testing.T) {
	s := open(t)
	role := s.cloud.Admin.Get("/identity/v3/roles?name=ResellerAdmin").Expect(200).String("roles.0.id")
	s.cloud.Admin.Do("PUT", "/identity/v3/projects/"+s.cloud.Admin.ProjectID+"/users/"+s.cloud.Admin.UserID+"/roles/"+role, nil).Expect(204)
	reseller := s.cloud.Login("admin", testcloud.AdminPassword, "admin")
	s.do("PUT", "/c", nil).Expect(201)
	s.put("/c/o", "x")
	reseller.Get(s.account + "/c/o").Expect(200)
	reseller.Do("PUT", "/v1/AUTH_fresh", nil, "X-Account-Meta-A", "b").Expect(201)
	reseller.Do("PUT", "/v1/AUTH_fresh", nil).Expect(202)
	reseller.Do("DELETE", "/v1/AUTH_fresh?x=y", nil).Expect(400)
	reseller.Do("DELETE", s.account, nil).Expect(204)
	s.do("GET", "", nil).Expect(410)
	s.do("PUT", "/d", nil).Expect(404)
	s.do("GET", "/c/o", nil).Expect(404)
	reseller.Do("DELETE", "/v1/AUTH_never", nil).Expect(404)
}

func TestCopies(t *testing.T) {
	s := open(t)
	s.do("PUT", "/c", nil).Expect(201)
	s.do("PUT", "/d", nil).Expect(201)
	s.put("/c/a b", "hello world", "Content-Type", "text/x", "X-Object-Meta-Color", "red", "X-Object-Meta-Size", "1", "Content-Encoding", "x")
	a := s.do("PUT", "/d/one", nil, "X-Copy-From", "/c/a%20b", "X-Object-Meta-Size", "2", "Content-Type", "").Expect(201)
	s.header(a, "X-Copied-From", "c/a%20b")
	s.header(a, "X-Copied-From-Account", "AUTH_"+s.demo.ProjectID)
	s.header(a, "X-Object-Meta-Color", "red")
	if a.Header.Get("X-Copied-From-Last-Modified") == "" {
		t.Error("no time of the source")
	}
	a = s.expect(s.do("GET", "/d/one", nil, "Accept-Encoding", "x"), 200, "hello world")
	for name, want := range map[string]string{"Content-Type": "text/x", "X-Object-Meta-Color": "red", "X-Object-Meta-Size": "2", "Content-Encoding": "x"} {
		s.header(a, name, want)
	}
	s.do("COPY", "/c/a%20b", nil, "Destination", "d/two", "X-Fresh-Metadata", "true", "Content-Type", "text/z").Expect(201)
	a = s.expect(s.do("GET", "/d/two", nil), 200, "hello world")
	s.header(a, "X-Object-Meta-Color", "")
	s.header(a, "Content-Type", "text/z")
	s.do("COPY", "/c/a%20b", nil, "Destination", "d/part", "Range", "bytes=6-").Expect(201)
	s.expect(s.do("GET", "/d/part", nil), 200, "world")
	s.expect(s.do("COPY", "/c/a%20b", nil), 412, "Destination header required")
	s.expect(s.do("COPY", "/c/a%20b", nil, "Destination", "d"), 412, "Destination header must be of the form <container name>/<object name>")
	s.expect(s.do("PUT", "/d/x", nil, "X-Copy-From", "c"), 412, "X-Copy-From header must be of the form <container name>/<object name>")
	s.expect(s.do("PUT", "/d/x", "body", "X-Copy-From", "c/a"), 400, "Copy requests require a zero byte body")
	s.do("COPY", "/c/none", nil, "Destination", "d/x").Expect(404)
	s.do("COPY", "/c/a%20b", nil, "Destination", "none/x").Expect(404)
	s.do("COPY", "/c/a%20b", nil, "Destination", "d/x", "If-Match", "other").Expect(412)
	s.do("COPY", "/c/a%20b", nil, "Destination", "c/a%20b", "X-Object-Meta-Color", "blue").Expect(201)
	s.header(s.do("HEAD", "/c/a%20b", nil), "X-Object-Meta-Color", "blue")

	admin := s.cloud.Admin
	to := "/v1/AUTH_" + admin.ProjectID
	admin.Do("PUT", to+"/theirs", nil).Expect(201)
	s.do("COPY", "/c/a%20b", nil, "Destination", "theirs/o", "Destination-Account", "AUTH_"+admin.ProjectID).Expect(403)
	admin.Do("POST", to+"/theirs", nil, "X-Container-Write", s.demo.ProjectID+":*").Expect(204)
	s.do("COPY", "/c/a%20b", nil, "Destination", "theirs/o", "Destination-Account", "AUTH_"+admin.ProjectID).Expect(201)
	if got := string(admin.Get(to + "/theirs/o").Expect(200).Body); got != "hello world" {
		t.Errorf("copied %q", got)
	}
	admin.Do("PUT", to+"/theirs/p", nil, "X-Copy-From", "c/a%20b", "X-Copy-From-Account", "AUTH_"+s.demo.ProjectID).Expect(403)
	s.expect(s.do("COPY", "/c/a%20b", nil, "Destination", "d/x", "Destination-Account", "a%2Fb"), 412, "Account name cannot contain slashes")
}

func TestDynamicLargeObject(t *testing.T) {
	s := open(t)
	s.do("PUT", "/c", nil).Expect(201)
	s.do("PUT", "/parts", nil).Expect(201)
	for _, p := range []string{"1", "2", "3"} {
		s.put("/parts/big/"+p, "part"+p)
	}
	s.put("/c/m", "", "X-Object-Manifest", "parts/big/", "Content-Type", "text/x", "X-Object-Meta-Color", "red")
	want := "part1part2part3"
	a := s.expect(s.do("GET", "/c/m", nil), 200, want)
	s.header(a, "Content-Type", "text/x")
	s.header(a, "X-Object-Manifest", "parts/big/")
	s.header(a, "Etag", `"`+sum(sum("part1")+sum("part2")+sum("part3"))+`"`)
	a = s.do("HEAD", "/c/m", nil).Expect(200)
	s.header(a, "Content-Length", "15")
	s.expect(s.do("GET", "/c/m", nil, "Range", "bytes=3-11"), 206, want[3:12])
	s.expect(s.do("GET", "/c/m", nil, "Range", "bytes=0-0,14-"), 200, want) // Swift does not cut these
	s.expect(s.do("GET", "/c/m?multipart-manifest=get", nil), 200, "")
	s.do("COPY", "/c/m", nil, "Destination", "c/whole").Expect(201)
	a = s.expect(s.do("GET", "/c/whole", nil), 200, want)
	s.header(a, "X-Object-Manifest", "")
	s.do("COPY", "/c/m?multipart-manifest=get", nil, "Destination", "c/again").Expect(201)
	s.header(s.expect(s.do("GET", "/c/again", nil), 200, want), "X-Object-Manifest", "parts/big/")
	s.expect(s.do("PUT", "/c/m", "", "X-Object-Manifest", "parts"), 400, "X-Object-Manifest must be in the format container/prefix")
	s.do("PUT", "/c/empty", "", "X-Object-Manifest", "none/x").Expect(201)
	s.do("GET", "/c/empty", nil).Expect(404)
	s.do("POST", "/c/m", nil, "X-Object-Meta-Color", "blue").Expect(202)
	s.header(s.expect(s.do("GET", "/c/m", nil), 200, ""), "X-Object-Manifest", "")
}

func TestStaticLargeObject(t *testing.T) {
	s := open(t)
	s.do("PUT", "/c", nil).Expect(201)
	s.put("/c/1", "part1")
	s.put("/c/2", "0123456789")
	manifest := `[{"path":"/c/1","etag":"` + sum("part1") + `","size_bytes":5},{"path":"c/2","range":"2-4"},{"data":"aGk="}]`
	want := "part1234hi"
	etag := sum(sum("part1") + sum("0123456789") + ":2-4;" + sum("hi"))
	a := s.do("PUT", "/c/m?multipart-manifest=put", manifest, "Content-Type", "text/x", "X-Object-Meta-Color", "red").Expect(201)
	s.header(a, "Etag", `"`+etag+`"`)
	a = s.expect(s.do("GET", "/c/m", nil), 200, want)
	for name, v := range map[string]string{"Etag": `"` + etag + `"`, "Content-Type": "text/x", "X-Static-Large-Object": "True", "X-Object-Meta-Color": "red", "Content-Length": "10"} {
		s.header(a, name, v)
	}
	a = s.do("HEAD", "/c/m", nil).Expect(200)
	s.header(a, "Content-Length", "10")
	s.header(a, "Etag", `"`+etag+`"`)
	s.expect(s.do("GET", "/c/m", nil, "Range", "bytes=4-8"), 206, want[4:9])
	s.do("GET", "/c/m", nil, "If-None-Match", etag).Expect(304)
	a = s.expect(s.do("GET", "/c/m?part-number=2", nil), 206, "234")
	s.header(a, "Content-Range", "bytes 5-7/10")
	s.header(a, "X-Parts-Count", "3")
	s.header(s.do("HEAD", "/c/m?part-number=1", nil).Expect(206), "Content-Length", "5")
	s.do("GET", "/c/m?part-number=4", nil).Expect(416)
	s.do("GET", "/c/m?part-number=x", nil).Expect(400)
	s.do("GET", "/c/m?part-number=1", nil, "Range", "bytes=0-1").Expect(400)

	a = s.do("GET", "/c/m?multipart-manifest=get", nil).Expect(200)
	s.header(a, "Content-Type", "application/json; charset=utf-8")
	if a.String("0.name") != "/c/1" || a.String("0.hash") != sum("part1") || a.Value("1.bytes") != 10.0 || a.String("1.range") != "2-4" || a.String("2.data") != "aGk=" {
		t.Errorf("manifest %s", a.Body)
	}
	a = s.do("GET", "/c/m?multipart-manifest=get&format=raw", nil).Expect(200)
	s.header(a, "Content-Type", "text/x")
	s.header(a, "Etag", sum(string(a.Body)))
	if a.String("0.path") != "/c/1" || a.Value("0.size_bytes") != 5.0 {
		t.Errorf("manifest %s", a.Body)
	}
	s.do("PUT", "/c/again?multipart-manifest=put", a.Body).Expect(201)
	s.expect(s.do("GET", "/c/again", nil), 200, want)
	a = s.do("GET", "/c?format=json&prefix=m", nil).Expect(200)
	if a.Value("0.bytes") != 10.0 || a.String("0.slo_etag") != `"`+etag+`"` {
		t.Errorf("listing %s", a.Body)
	}
	s.do("POST", "/c/m", nil, "X-Object-Meta-Color", "blue").Expect(202)
	s.header(s.expect(s.do("GET", "/c/m", nil), 200, want), "X-Object-Meta-Color", "blue")

	s.do("PUT", "/c/outer?multipart-manifest=put", `[{"path":"/c/m"},{"path":"/c/m","range":"1-3"}]`).Expect(201)
	s.expect(s.do("GET", "/c/outer", nil), 200, want+want[1:4])
	s.expect(s.do("GET", "/c/outer", nil, "Range", "bytes=8-11"), 206, "hiar")
	s.do("COPY", "/c/m", nil, "Destination", "c/flat").Expect(201)
	s.header(s.expect(s.do("GET", "/c/flat", nil), 200, want), "X-Static-Large-Object", "")
	s.do("COPY", "/c/m?part-number=2", nil, "Destination", "c/part").Expect(201)
	s.expect(s.do("GET", "/c/part", nil), 200, "234")
	s.do("COPY", "/c/m?multipart-manifest=get", nil, "Destination", "c/twin").Expect(201)
	s.header(s.expect(s.do("GET", "/c/twin", nil), 200, want), "X-Static-Large-Object", "True")

	bad := `[{"path":"/c/1","etag":"wrong","size_bytes":6},{"path":"c/none"},{"path":"/c/2","range":"20-"}]`
	a = s.do("PUT", "/c/bad?multipart-manifest=put", bad, "Accept", "application/json").Expect(400)
	var report struct{ Errors [][2]string }
	if err := json.Unmarshal(a.Body, &report); err != nil || len(report.Errors) != 4 || report.Errors[0] != [2]string{"/c/1", "Size Mismatch"} || report.Errors[2] != [2]string{"c/none", "404 Not Found"} {
		t.Errorf("report %s", a.Body)
	}
	s.expect(s.do("PUT", "/c/bad?multipart-manifest=put", bad), 400, "Errors:\n/c/1, Size Mismatch\n/c/1, Etag Mismatch\nc/none, 404 Not Found\n/c/2, Unsatisfiable Range\n")
	s.do("PUT", "/c/bad?multipart-manifest=put", manifest, "Etag", "wrong").Expect(422)
	a = s.do("PUT", "/c/beat?multipart-manifest=put&heartbeat=on", manifest).Expect(202)
	if text := string(a.Body); !strings.HasPrefix(text, " \r\n\r\n") || !strings.Contains(text, "Response Status: 201 Created\n") || !strings.Contains(text, etag) {
		t.Errorf("heartbeat %q", text)
	}
	for _, c := range [][3]string{
		{bad, "", `"Response Status":"400 Bad Request","Response Body":"Bad Request\nThe server could not comply with the request since it is either malformed or otherwise incorrect."`},
		{manifest, "wrong", `"Response Status":"422 Unprocessable Entity","Response Body":"Unprocessable Entity\nUnable to process the contained instructions"`},
	} {
		a = s.do("PUT", "/c/beat?multipart-manifest=put&heartbeat=on", c[0], "Etag", c[1], "Accept", "application/json").Expect(202)
		var got, want map[string]any
		if err := errors.Join(json.Unmarshal(a.Body, &got), json.Unmarshal([]byte("{"+c[2]+"}"), &want)); err != nil ||
			got["Response Status"] != want["Response Status"] || got["Response Body"] != want["Response Body"] {
			t.Errorf("heartbeat %s", a.Body)
		}
	}
	s.do("PUT", "/c/x", "x", "X-Static-Large-Object", "True").Expect(400)

	s.put("/c/1", "other")
	s.do("GET", "/c/m", nil).Expect(409)
	s.put("/c/1", "part1")
	a = s.do("DELETE", "/c/outer?multipart-manifest=delete", nil).Expect(200)
	if want := "Number Deleted: 4\nNumber Not Found: 3\nResponse Body: \nResponse Status: 200 OK\nErrors:\n"; string(a.Body) != want {
		t.Errorf("deleted %q", a.Body)
	}
	s.do("HEAD", "/c/2", nil).Expect(404)
	a = s.do("DELETE", "/c/flat?multipart-manifest=delete", nil).Expect(200)
	if !strings.Contains(string(a.Body), "400 Bad Request") || !strings.Contains(string(a.Body), "/c/flat, Not an SLO manifest") {
		t.Errorf("deleted %q", a.Body)
	}
}

func TestSymlinks(t *testing.T) {
	s := open(t)
	s.do("PUT", "/c", nil).Expect(201)
	s.put("/c/o", "hello", "Content-Type", "text/x", "X-Object-Meta-Color", "red")
	s.put("/c/l", "", "X-Symlink-Target", "c/o", "Content-Type", "")
	a := s.expect(s.do("GET", "/c/l", nil), 200, "hello")
	s.header(a, "Content-Location", s.account+"/c/o")
	s.header(a, "X-Object-Meta-Color", "red")
	s.header(a, "X-Symlink-Target", "")
	a = s.expect(s.do("GET", "/c/l?symlink=get", nil), 200, "")
	s.header(a, "X-Symlink-Target", "c/o")
	s.header(a, "Content-Type", "application/symlink")
	s.expect(s.do("GET", "/c/l", nil, "Range", "bytes=1-2"), 206, "el")
	a = s.do("POST", "/c/l", nil, "X-Object-Meta-A", "b").Expect(307)
	s.header(a, "Location", s.account+"/c/o")
	s.expect(s.do("POST", "/c/o", nil, "X-Symlink-Target", "c/x"), 400, "A PUT request is required to set a symlink target")
	s.expect(s.do("PUT", "/c/l", "x", "X-Symlink-Target", "c/o"), 400, "Symlink requests require a zero byte body")
	s.expect(s.do("PUT", "/c/l", "", "X-Symlink-Target", "/c/o"), 412, "X-Symlink-Target header must be of the form <container name>/<object name>")
	s.expect(s.do("PUT", "/c/l", "", "X-Symlink-Target", "c/l"), 400, "Symlink cannot target itself")

	s.put("/c/static", "", "X-Symlink-Target", "c/o", "X-Symlink-Target-Etag", sum("hello"), "Content-Type", "")
	a = s.do("GET", "/c?format=json&prefix=static", nil).Expect(200)
	if a.String("0.symlink_path") != s.account+"/c/o" || a.String("0.symlink_etag") != sum("hello") || a.Value("0.symlink_bytes") != 5.0 || a.Value("0.bytes") != 0.0 {
		t.Errorf("listing %s", a.Body)
	}
	s.header(s.expect(s.do("GET", "/c/static", nil), 200, "hello"), "Content-Type", "text/x")
	s.expect(s.do("PUT", "/c/bad", "", "X-Symlink-Target", "c/none", "X-Symlink-Target-Etag", "x"), 409, "X-Symlink-Target does not exist")
	a = s.do("PUT", "/c/bad", "", "X-Symlink-Target", "c/o", "X-Symlink-Target-Etag", "x").Expect(409)
	s.header(a, "Content-Location", s.account+"/c/o")
	s.put("/c/o", "changed")
	s.do("GET", "/c/static", nil).Expect(409)
	s.expect(s.do("GET", "/c/l", nil), 200, "changed")

	s.put("/c/l2", "", "X-Symlink-Target", "c/l")
	s.expect(s.do("GET", "/c/l2", nil), 200, "changed")
	s.put("/c/l3", "", "X-Symlink-Target", "c/l2")
	s.expect(s.do("GET", "/c/l3", nil), 409, "Too many levels of symbolic links, maximum allowed is 2")
	s.do("DELETE", "/c/l", nil).Expect(204)
	s.do("HEAD", "/c/o", nil).Expect(200)
	a = s.do("GET", "/c/l2", nil).Expect(404)
	s.header(a, "Content-Location", s.account+"/c/l")
	s.do("COPY", "/c/l2?symlink=get", nil, "Destination", "c/l4").Expect(201)
	s.header(s.do("HEAD", "/c/l4?symlink=get", nil), "X-Symlink-Target", "c/l")

	admin := s.cloud.Admin
	other := "/v1/AUTH_" + admin.ProjectID
	admin.Do("PUT", other+"/theirs", nil).Expect(201)
	admin.Do("PUT", other+"/theirs/o", "secret").Expect(201)
	s.put("/c/cross", "", "X-Symlink-Target", "theirs/o", "X-Symlink-Target-Account", "AUTH_"+admin.ProjectID)
	s.do("GET", "/c/cross", nil).Expect(403)
	admin.Do("POST", other+"/theirs", nil, "X-Container-Read", s.demo.ProjectID+":*").Expect(204)
	s.expect(s.do("GET", "/c/cross", nil), 200, "secret")
}

func TestVersions(t *testing.T) {
	s := open(t)
	s.do("PUT", "/c", nil).Expect(201)
	s.put("/c/o", "null")
	s.do("GET", "/c/o?version-id=1", nil).Expect(400)
	s.do("POST", "/c", nil, "X-Versions-Enabled", "true").Expect(204)
	s.header(s.do("HEAD", "/c", nil), "X-Versions-Enabled", "True")
	s.header(s.do("HEAD", "/c/o", nil), "X-Object-Version-Id", "null")
	one := s.put("/c/o", "one").Header.Get("X-Object-Version-Id")
	two := s.put("/c/o", "two!").Header.Get("X-Object-Version-Id")
	if one == "" || one == two {
		t.Fatalf("versions %q and %q", one, two)
	}
	a := s.expect(s.do("GET", "/c/o", nil), 200, "two!")
	s.header(a, "X-Object-Version-Id", two)
	s.header(a, "Content-Location", s.account+"/c/o?version-id="+two)
	s.header(s.expect(s.do("GET", "/c/o?version-id="+one, nil), 200, "one"), "X-Object-Version-Id", one)
	s.expect(s.do("GET", "/c/o?version-id=null", nil), 200, "null")
	s.expect(s.do("GET", "/c/o?version-id=nonsense", nil), 400, "Invalid version parameter")
	s.do("GET", "/c/o?version-id=1234567890.12345", nil).Expect(404)
	s.do("GET", "/c?versions&format=plain", nil).Expect(406)
	s.expect(s.do("POST", "/c/o?version-id="+one, nil), 400, "POST to a specific version is not allowed")
	marker := s.do("DELETE", "/c/o", nil).Expect(204).Header.Get("X-Object-Version-Id")
	s.do("GET", "/c/o", nil).Expect(404)
	s.do("GET", "/c/o?version-id="+marker, nil).Expect(404)
	s.header(s.do("HEAD", "/c", nil), "X-Container-Object-Count", "0")
	a = s.do("GET", "/c?versions&format=json", nil).Expect(200)
	var list []struct {
		Name    string `json:"name"`
		Version string `json:"version_id"`
		Latest  bool   `json:"is_latest"`
		Type    string `json:"content_type"`
		Bytes   int64  `json:"bytes"`
	}
	if err := json.Unmarshal(a.Body, &list); err != nil || len(list) != 4 {
		t.Fatalf("%v in %s", err, a.Body)
	}
	for i, want := range []string{marker, two, one, "null"} {
		if list[i].Version != want || list[i].Latest != (i == 0) {
			t.Errorf("version %d: %+v, want %s", i, list[i], want)
		}
	}
	if list[0].Type != "application/x-deleted;swift_versions_deleted=1" || list[1].Bytes != 4 {
		t.Errorf("listing %s", a.Body)
	}
	a = s.do("GET", "/c?versions&format=json&limit=2&marker=o&version_marker="+two, nil).Expect(200)
	if a.String("0.version_id") != one || a.String("1.version_id") != "null" {
		t.Errorf("page %s", a.Body)
	}
	s.expect(s.do("GET", "/c?versions&version_marker=x", nil), 400, "version_marker param requires marker")
	s.do("PUT", "/c/o?version-id="+one, nil).Expect(201)
	s.expect(s.do("GET", "/c/o", nil), 200, "one")
	s.expect(s.do("PUT", "/c/o?version-id="+one, "x"), 400, "PUT version-id requests require a zero byte body")
	s.do("COPY", "/c/o?version-id="+two, nil, "Destination", "c/p").Expect(201)
	s.expect(s.do("GET", "/c/p", nil), 200, "two!")
	s.header(s.do("DELETE", "/c/o?version-id="+two, nil).Expect(204), "X-Object-Version-Id", two)
	s.do("GET", "/c/o?version-id="+two, nil).Expect(404)
	s.do("POST", "/c", nil, "X-Versions-Enabled", "false").Expect(204)
	s.header(s.do("HEAD", "/c", nil), "X-Versions-Enabled", "False")
	s.do("DELETE", "/c/p", nil).Expect(204)
	s.do("DELETE", "/c/o", nil).Expect(204)
	s.expect(s.do("DELETE", "/c", nil), 409, "Delete all versions before deleting container.")
}

func TestInfoAndHealth(t *testing.T) {
	s := open(t)
	nobody := s.cloud.Anonymous()
	s.expect(nobody.Get("/healthcheck"), 200, "OK")
	a := nobody.Get("/info").Expect(200)
	if a.Value("swift.max_file_size") != 5368709122.0 || a.String("swift.policies.0.name") != "Policy-0" || a.Value("slo.max_manifest_segments") != 1000.0 || a.Value("admin") != nil {
		t.Errorf("info %s", a.Body)
	}
	nobody.Get("/info?swiftinfo_sig=x&swiftinfo_expires=99999999999").Expect(403)
	nobody.Get("/v1").Expect(412)
	s.header(nobody.Do("OPTIONS", "/info", nil).Expect(200), "Allow", "HEAD, GET, OPTIONS")
}

func TestEndpoints(t *testing.T) {
	s := open(t)
	s.do("PUT", "/c", nil).Expect(201)
	path := strings.TrimPrefix(s.account, "/v1")
	a := s.demo.Get("/endpoints" + path + "/c/a%20b").Expect(200)
	if want := `["` + s.cloud.URL + s.account + `/c/a%20b"]`; string(a.Body) != want {
		t.Errorf("%s, want %s", a.Body, want)
	}
	a = s.demo.Get("/endpoints/v2" + path + "/c/o").Expect(200)
	if a.String("endpoints.0") != s.cloud.URL+s.account+"/c/o" {
		t.Errorf("%s", a.Body)
	}
	s.cloud.Admin.Get("/endpoints" + path + "/c/o").Expect(403)
	s.cloud.Anonymous().Get("/endpoints" + path + "/c/o").Expect(401)
}

func TestCORS(t *testing.T) {
	s := open(t)
	s.do("PUT", "/c", nil, "X-Container-Meta-Access-Control-Allow-Origin", "http://a http://b", "X-Container-Meta-Access-Control-Max-Age", "5",
		"X-Container-Meta-Access-Control-Expose-Headers", "X-Other").Expect(201)
	s.put("/c/o", "x", "X-Object-Meta-Color", "red")
	nobody := s.cloud.Anonymous()
	ask := func(path, origin, method string, status int) *testcloud.Answer {
		t.Helper()
		return nobody.Do(http.MethodOptions, s.account+path, nil, "Origin", origin, "Access-Control-Request-Method", method, "Access-Control-Request-Headers", "x-a, x-b").Expect(status)
	}
	a := ask("/c/o", "http://a", "GET", 200)
	for name, want := range map[string]string{"Access-Control-Allow-Origin": "http://a", "Access-Control-Max-Age": "5", "Access-Control-Allow-Headers": "x-a, x-b",
		"Access-Control-Allow-Methods": "COPY, DELETE, GET, HEAD, OPTIONS, POST, PUT", "Vary": "Origin, Access-Control-Request-Headers"} {
		s.header(a, name, want)
	}
	ask("/c/o", "http://c", "GET", 401)
	ask("/c/o", "http://a", "PATCH", 401)
	ask("/none", "http://a", "GET", 401)
	s.header(nobody.Do(http.MethodOptions, s.account+"/c", nil).Expect(200), "Allow", "DELETE, GET, HEAD, OPTIONS, POST, PUT")
	a = s.do("GET", "/c/o", nil, "Origin", "http://b").Expect(200)
	s.header(a, "Access-Control-Allow-Origin", "http://b")
	if got := a.Header.Get("Access-Control-Expose-Headers"); !strings.Contains(got, "x-object-meta-color") || !strings.Contains(got, "x-other") {
		t.Errorf("exposed %s", got)
	}
	s.header(s.do("GET", "/c/o", nil, "Origin", "http://c").Expect(200), "Access-Control-Allow-Origin", "")
}
