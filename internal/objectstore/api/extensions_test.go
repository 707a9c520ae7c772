package objectstoreapi_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/testcloud"
)

func sign(h func() hash.Hash, key string, lines ...string) []byte {
	mac := hmac.New(h, []byte(key))
	mac.Write([]byte(strings.Join(lines, "\n")))
	return mac.Sum(nil)
}

func soon() string { return fmt.Sprint(time.Now().Add(time.Hour).Unix()) }

// signed is a signed address by SHA-1.
func (s *shop) signed(key, method, path string) string {
	until := soon()
	return s.account + path + "?temp_url_sig=" + hex.EncodeToString(sign(sha1.New, key, method, until, s.account+path)) + "&temp_url_expires=" + until
}

func TestTemporaryURLs(t *testing.T) {
	s := open(t)
	nobody := s.cloud.Anonymous()
	s.do("POST", "", nil, "X-Account-Meta-Temp-URL-Key", "akey", "X-Account-Meta-Temp-URL-Key-2", "akey2").Expect(204)
	s.do("PUT", "/box", nil, "X-Container-Meta-Temp-URL-Key", "ckey").Expect(201)
	s.do("PUT", "/other", nil).Expect(201)
	s.put("/box/dir/a b", "content", "X-Object-Meta-Secret", "1", "X-Object-Meta-Public-Name", "2")
	s.put("/other/x", "foreign")
	path := "/box/dir/a%20b"
	plain := s.account + "/box/dir/a b"
	until := soon()
	get := func(query string) *testcloud.Answer { return nobody.Get(s.account + path + "?" + query) }
	for _, key := range []string{"akey", "akey2", "ckey"} {
		for name, h := range map[string]func() hash.Hash{"sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New} {
			sum := sign(h, key, "GET", until, plain)
			forms := []string{name + ":" + base64.URLEncoding.EncodeToString(sum), name + ":" + base64.StdEncoding.EncodeToString(sum), hex.EncodeToString(sum)}
			for _, sig := range forms {
				a := s.expect(get("temp_url_expires="+until+"&temp_url_sig="+url.QueryEscape(sig)), 200, "content")
				if a.Header.Get("X-Object-Meta-Secret") != "" || a.Header.Get("X-Object-Meta-Public-Name") != "2" ||
					a.Header.Get("Content-Disposition") != `attachment; filename="a b"; filename*=UTF-8''a%20b` || a.Header.Get("Expires") == "" {
					t.Fatalf("%s %s: %v", key, name, a.Header)
				}
			}
		}
	}
	sig := hex.EncodeToString(sign(sha1.New, "akey", "GET", until, plain))
	good := "temp_url_expires=" + until + "&temp_url_sig=" + sig
	s.header(get(good+"&inline"), "Content-Disposition", "inline")
	s.header(get(good+"&filename=%C3%BC.txt"), "Content-Disposition", `attachment; filename="%C3%BC.txt"; filename*=UTF-8''%C3%BC.txt`)
	s.header(get(good+"&inline&filename=n"), "Content-Disposition", `inline; filename="n"; filename*=UTF-8''n`)
	nobody.Do("HEAD", s.account+path+"?"+good, nil).Expect(200)
	n := 0
	fmt.Sscan(until, &n)
	s.expect(get("temp_url_expires="+time.Unix(int64(n), 0).UTC().Format("2006-01-02T15:04:05Z")+"&temp_url_sig="+sig), 200, "content")
	for what, query := range map[string]string{"no time": "temp_url_sig=" + sig, "no signature": "temp_url_expires=" + until, "another time": "temp_url_sig=" + sig + "&temp_url_expires=9999999999",
		"over": "temp_url_expires=1&temp_url_sig=" + hex.EncodeToString(sign(sha1.New, "akey", "GET", "1", plain)), "upper case": strings.ToUpper(sig) + "&temp_url_expires=" + until,
		"digest": "temp_url_sig=md5:AAAA&temp_url_expires=" + until, "no key": "temp_url_expires=" + until + "&temp_url_sig=" + hex.EncodeToString(sign(sha1.New, "", "GET", until, plain))} {
		if a := get(strings.Replace(query, "upper", "", 1)); a.Status != 401 {
			t.Errorf("%s: %d", what, a.Status)
		}
	}
	s.expect(get("temp_url_sig=x&temp_url_expires=1"), 401, "401 Unauthorized: Temp URL invalid\n")
	for _, method := range []string{"PUT", "POST", "DELETE"} {
		nobody.Do(method, s.account+path+"?"+good, "x").Expect(401)
	}
	nobody.Get(s.signed("akey", "GET", "/box/nothing")).Expect(404)
	// prefixes
	prefix := "&temp_url_prefix=dir/&temp_url_expires=" + until + "&temp_url_sig=" + hex.EncodeToString(sign(sha1.New, "akey", "GET", until, "prefix:"+s.account+"/box/dir/"))
	s.expect(get(prefix), 200, "content")
	nobody.Get(s.account + "/box/other?" + prefix).Expect(401)
	// addresses
	for addresses, want := range map[string]int{"127.0.0.1": 200, "127.0.0.0/8": 200, "10.0.0.0/8": 401, "127.0.0.1/8": 401, "x": 401} {
		ranged := "temp_url_ip_range=" + addresses + "&temp_url_expires=" + until + "&temp_url_sig=" + hex.EncodeToString(sign(sha1.New, "akey", "ip="+addresses, "GET", until, plain))
		if a := get(ranged); a.Status != want {
			t.Errorf("range %s: %d", addresses, a.Status)
		}
	}
	// writes: one verb, one object, no way to other objects
	put := s.signed("akey", "PUT", "/box/new")
	for name, value := range map[string]string{"X-Object-Manifest": "other/x", "X-Symlink-Target": "other/x"} {
		nobody.Do("PUT", put, "", name, value).Expect(400)
	}
	nobody.Do("PUT", put, nil, "X-Copy-From", "/other/x").Expect(401)
	nobody.Do("PUT", put+"&multipart-manifest=put", `[{"path":"/other/x"}]`).Expect(201)
	s.expect(s.do("GET", "/box/new", nil), 200, `[{"path":"/other/x"}]`)
	nobody.Do("PUT", put, "new").Expect(201)
	s.expect(s.do("GET", "/box/new", nil), 200, "new")
	nobody.Do("DELETE", s.signed("ckey", "DELETE", "/box/new"), nil).Expect(204)
	nobody.Get(s.signed("ckey", "GET", "/other/x")).Expect(401)
	// a manifest leads as far as its key reaches
	s.put("/box/large", "", "X-Object-Manifest", "other/x")
	s.expect(nobody.Get(s.signed("akey", "GET", "/box/large")), 200, "foreign")
	if a := nobody.Get(s.signed("ckey", "GET", "/box/large")); strings.Contains(string(a.Body), "foreign") {
		t.Error("a container's key reads another container")
	}
	if a := s.cloud.Admin.Do("GET", s.account, nil); a.Header.Get("X-Account-Meta-Temp-Url-Key") != "" && a.Status == 200 {
		t.Log("an administrator is an owner here")
	}
}

func (s *shop) form(path, key, redirect string, size, count int64, until string, files map[string]string, extra ...string) *testcloud.Answer {
	s.t.Helper()
	text := []string{s.account + path, redirect, fmt.Sprint(size), fmt.Sprint(count), until}
	var b strings.Builder
	field := func(name, value string) {
		fmt.Fprintf(&b, "--XX\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", name, value)
	}
	field("redirect", redirect)
	field("max_file_size", fmt.Sprint(size))
	field("max_file_count", fmt.Sprint(count))
	field("expires", until)
	field("signature", hex.EncodeToString(sign(sha1.New, key, text...)))
	for i := 0; i < len(extra); i += 2 {
		field(extra[i], extra[i+1])
	}
	for name, content := range files {
		fmt.Fprintf(&b, "--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=%q\r\nContent-Type: text/css\r\n\r\n%s\r\n", name, content)
	}
	b.WriteString("--XX--\r\n")
	return s.cloud.Anonymous().Do("POST", s.account+path, b.String(), "Content-Type", "multipart/form-data; boundary=XX")
}

func TestForms(t *testing.T) {
	s := open(t)
	s.do("POST", "", nil, "X-Account-Meta-Temp-URL-Key", "key").Expect(204)
	s.do("PUT", "/box", nil).Expect(201)
	until := soon()
	file := map[string]string{"a.css": "body {}\r\n--not the end"}
	s.expect(s.form("/box/in/", "key", "", 100, 1, until, file), 201, "201 Created")
	a := s.expect(s.do("GET", "/box/in/a.css", nil), 200, file["a.css"])
	s.header(a, "Content-Type", "text/css")
	s.expect(s.form("/box", "key", "", 100, 1, until, file), 201, "201 Created")
	s.do("HEAD", "/box/a.css", nil).Expect(200)
	s.expect(s.form("/box/pre", "key", "", 100, 1, until, file, "x_delete_after", "1000", "Content-Type", "a/b"), 201, "201 Created")
	if a := s.do("HEAD", "/box/prea.css", nil).Expect(200); a.Header.Get("X-Delete-At") == "" || a.Header.Get("Content-Type") != "a/b" {
		t.Errorf("%v", a.Header)
	}
	a = s.form("/box/", "key", "https://example.org/?a=b", 100, 1, until, file).Expect(303)
	s.header(a, "Location", "https://example.org/?a=b&status=201&message=")
	s.expect(s.form("/box/x/", "wrong", "", 100, 1, until, file), 401, "FormPost: Invalid Signature")
	s.expect(s.form("/box/x/", "key", "", 100, 1, "1", file), 401, "FormPost: Form Expired")
	s.expect(s.form("/box/x/", "key", "https://evil.example", 100, 1, until, nil), 400, "400 Bad Request\r\nFormPost: No Files To Process")
	s.expect(s.form("/box/x/", "key", "", 100, 1, until, map[string]string{"1": "1", "2": "2"}), 400, "400 Bad Request\r\nFormPost: Max File Count Exceeded")
	s.expect(s.form("/box/y/", "key", "", 3, 1, until, file), 400, "FormPost: max_file_size exceeded")
	s.do("HEAD", "/box/y/a.css", nil).Expect(404)
	s.expect(s.form("/box/z/", "key", "", 100, 1, until, file, "x_delete_at", "soon"), 400, "FormPost: x_delete_at not an integer: Unix timestamp required.")
	s.expect(s.form("/none/", "key", "", 100, 1, until, file), 404, "404 Not Found")
	s.cloud.Anonymous().Do("POST", s.account+"/box", "nonsense", "Content-Type", "multipart/form-data; boundary=YY").Expect(400)
}

func archive(t *testing.T, compress bool, files ...string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o600, Size: int64(len(files[i+1])), PAXRecords: map[string]string{"SCHILY.xattr.user.mime_type": "a/tar"}}); err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte(files[i+1]))
	}
	_ = w.WriteHeader(&tar.Header{Name: "box/link", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"})
	_ = w.Close()
	if !compress {
		return b.Bytes()
	}
	var z bytes.Buffer
	g := gzip.NewWriter(&z)
	_, _ = g.Write(b.Bytes())
	_ = g.Close()
	return z.Bytes()
}

func TestBulk(t *testing.T) {
	s := open(t)
	large := strings.Repeat("large", 50000)
	a := s.do("PUT", "?extract-archive=tar", archive(t, false, "./box/a", "1", "/box/d/b", large, "box2/ü", "3", "alone", "4"), "Accept", "application/json").Expect(200)
	if a.String("Response Status") != "201 Created" || a.Value("Number Files Created") != 3.0 || len(a.List("Errors")) != 0 {
		t.Fatalf("%s", a.Body)
	}
	s.header(s.expect(s.do("GET", "/box/d/b", nil), 200, large), "Content-Type", "a/tar")
	s.do("GET", "/box/link", nil).Expect(404)
	a = s.do("PUT", "/box/base?extract-archive=tar.gz", archive(t, true, "x/y", "1"), "Accept", "application/json").Expect(200)
	if a.Value("Number Files Created") != 1.0 {
		t.Fatalf("%s", a.Body)
	}
	s.do("HEAD", "/box/base/x/y", nil).Expect(200)
	for kind, body := range map[string][]byte{"tar": []byte("nonsense"), "tar.gz": []byte("nonsense"), "tar.bz2": []byte("nonsense"), ".tar": archive(t, false)} {
		a := s.do("PUT", "?extract-archive="+kind, body, "Accept", "application/json").Expect(200)
		if a.String("Response Status") != "400 Bad Request" || !strings.HasPrefix(a.String("Response Body"), "Invalid Tar File") {
			t.Errorf("%s: %s", kind, a.Body)
		}
	}
	s.do("PUT", "?extract-archive=zip", "").Expect(400)
	a = s.cloud.Anonymous().Do("PUT", s.account+"?extract-archive=tar", archive(t, false, "box/a", "1"), "Accept", "application/json").Expect(200)
	if a.String("Response Status") != "401 Unauthorized" {
		t.Errorf("anonymous: %s", a.Body)
	}
	// deletes
	a = s.do("POST", "?bulk-delete", "/box/a\nbox/d/b\n\nbox/base%2Fx/y\nbox/missing\nbox2\nnone/x", "Accept", "application/json", "Content-Type", "text/plain").Expect(200)
	if a.String("Response Status") != "400 Bad Request" || a.Value("Number Deleted") != 3.0 || a.Value("Number Not Found") != 2.0 ||
		fmt.Sprint(a.Value("Errors")) != "[[box2 409 Conflict]]" {
		t.Errorf("%s", a.Body)
	}
	s.expect(s.do("DELETE", "?bulk-delete=true", "box2/%C3%BC\nbox2\nbox", "Content-Type", "text/plain"), 200,
		"Number Deleted: 3\nNumber Not Found: 0\nResponse Body: \nResponse Status: 200 OK\nErrors:\n")
	if a := s.do("POST", "?bulk-delete", "", "Accept", "application/xml", "Content-Type", "text/plain").Expect(200); !strings.Contains(string(a.Body), "<response_status>400 Bad Request</response_status>") {
		t.Errorf("%s", a.Body)
	}
	a = s.do("POST", "?bulk-delete", strings.Repeat("x", 5000), "Accept", "application/json", "Content-Type", "text/plain").Expect(200)
	if a.String("Response Body") != "Invalid File Name" {
		t.Errorf("%s", a.Body)
	}
}

func TestQuotas(t *testing.T) {
	s := open(t)
	s.do("PUT", "/bad", nil, "X-Container-Meta-Quota-Bytes", "many").Expect(400)
	s.do("PUT", "/box", nil, "X-Container-Meta-Quota-Bytes", "10", "X-Container-Meta-Quota-Count", "2").Expect(201)
	s.put("/box/a", "12345")
	s.expect(s.do("PUT", "/box/b", "123456"), 413, "Upload exceeds quota.")
	s.do("PUT", "/box/b", nil, "X-Copy-From", "/box/a").Expect(201)
	s.expect(s.do("PUT", "/box/c", ""), 413, "Upload exceeds quota.")
	s.cloud.Anonymous().Do("PUT", s.account+"/box/c", "").Expect(401)
	s.do("PUT", "/large", nil).Expect(201)
	s.put("/large/x", strings.Repeat("x", 11))
	s.do("DELETE", "/box/b", nil).Expect(204)
	s.expect(s.do("PUT", "/box/c", nil, "X-Copy-From", "/large/x"), 413, "Upload exceeds quota.")
	// parallel uploads: as many as fit
	s.do("PUT", "/par", nil, "X-Container-Meta-Quota-Bytes", "500").Expect(201)
	var stored atomic.Int32
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if a := s.do("PUT", fmt.Sprint("/par/", i), strings.Repeat("x", 50)); a.Status == 201 {
				stored.Add(1)
			}
		})
	}
	all.Wait()
	if stored.Load() != 10 {
		t.Errorf("%d objects of 50 bytes in 500", stored.Load())
	}
	// accounts: resellers alone set quotas
	s.do("POST", "", nil, "X-Account-Meta-Quota-Bytes", "1").Expect(403)
	s.do("POST", "", nil, "X-Remove-Account-Meta-Quota-Bytes", "1").Expect(403)
	s.do("POST", "", nil, "X-Account-Quota-Count", "1").Expect(403)
	role := s.cloud.Admin.Get("/identity/v3/roles?name=ResellerAdmin").Expect(200).String("roles.0.id")
	s.cloud.Admin.Do("PUT", "/identity/v3/projects/"+s.cloud.Admin.ProjectID+"/users/"+s.cloud.Admin.UserID+"/roles/"+role, nil).Expect(204)
	reseller := s.cloud.Login("admin", testcloud.AdminPassword, "admin")
	for _, name := range []string{"X-Account-Meta-Quota-Bytes", "X-Account-Quota-Bytes", "X-Account-Quota-Bytes-Policy-Policy-0", "X-Account-Quota-Count", "X-Account-Quota-Count-Policy-Policy-0"} {
		reseller.Do("POST", s.account, nil, name, "some").Expect(400)
		reseller.Do("POST", s.account, nil, name, "1").Expect(204)
		s.header(s.do("HEAD", "", nil), name, "1")
		s.expect(s.do("PUT", "/large/z", "12"), 413, "Upload exceeds quota.")
		reseller.Do("POST", s.account, nil, "X-Remove-"+strings.TrimPrefix(name, "X-"), "x").Expect(204)
		s.header(s.do("HEAD", "", nil), name, "")
		s.do("PUT", "/large/z", "12").Expect(201)
	}
}

func TestStaticWeb(t *testing.T) {
	s := open(t)
	nobody := s.cloud.Anonymous()
	s.do("PUT", "/site", nil, "X-Container-Read", ".r:*,.rlistings", "X-Container-Meta-Web-Index", "index.html", "X-Container-Meta-Web-Error", "error.html").Expect(201)
	s.put("/site/index.html", "home")
	s.put("/site/sub/index.html", "sub")
	s.put("/site/list/<b>&", "x")
	s.put("/site/404error.html", "not here")
	s.expect(nobody.Get(s.account+"/site/"), 200, "home")
	s.expect(nobody.Get(s.account+"/site/sub/"), 200, "sub")
	s.header(nobody.Get(s.account+"/site").Expect(301), "Location", s.cloud.URL+s.account+"/site/")
	s.header(nobody.Get(s.account+"/site/sub").Expect(301), "Location", s.cloud.URL+s.account+"/site/sub/")
	s.expect(nobody.Get(s.account+"/site/none"), 404, "not here")
	s.expect(nobody.Get(s.account+"/site/list/"), 404, "not here")
	s.do("POST", "/site", nil, "X-Container-Meta-Web-Listings", "true", "X-Container-Meta-Web-Listings-CSS", "s.css", "X-Remove-Container-Meta-Web-Index", "x").Expect(204)
	body := string(nobody.Get(s.account + "/site/").Expect(200).Body)
	for _, want := range []string{`<a href="./sub/">sub/</a>`, `<a href="./index%2Ehtml">index.html</a>`, `<link rel="stylesheet" type="text/css" href="s.css" />`, `<td class="colsize">4</td>`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
	body = string(nobody.Get(s.account + "/site/list/").Expect(200).Body)
	for _, want := range []string{`<a href="./%3Cb%3E%26">&lt;b&gt;&amp;</a>`, `href="../s.css"`, `<a href="../">`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
	if body := string(s.do("GET", "/site/", nil).Expect(200).Body); strings.Contains(body, "<html>") {
		t.Error("an owner sees the site unasked")
	}
	if body := string(s.do("GET", "/site/", nil, "X-Web-Mode", "TRUE").Expect(200).Body); !strings.Contains(body, "<html>") {
		t.Error("an owner cannot see the site")
	}
	s.do("PUT", "/hidden", nil, "X-Container-Meta-Web-Index", "index.html").Expect(201)
	s.put("/hidden/index.html", "x")
	nobody.Get(s.account + "/hidden/").Expect(401)
	nobody.Get(s.account + "/hidden").Expect(401)
}

// signedPrefix is a signed address of what begins with a prefix.
func (s *shop) signedPrefix(key, method, container, prefix, path string) string {
	until := soon()
	sum := sign(sha256.New, key, method, until, "prefix:"+s.account+container+"/"+prefix)
	return s.account + container + path + "?temp_url_prefix=" + prefix + "&temp_url_expires=" + until + "&temp_url_sig=" + hex.EncodeToString(sum)
}

func TestStaticWebBySignedAddresses(t *testing.T) {
	s := open(t)
	nobody := s.cloud.Anonymous()
	s.do("PUT", "/site", nil, "X-Container-Meta-Web-Listings", "true", "X-Container-Meta-Temp-URL-Key", "key").Expect(201)
	s.put("/site/top", "x")
	s.put("/site/dir/a", "in dir")
	s.put("/site/dir/sub/b", "in sub")
	page := func(address string, want, never string) string {
		t.Helper()
		a := nobody.Get(address).Expect(200)
		s.header(a, "Content-Disposition", "inline")
		body := string(a.Body)
		if !strings.Contains(body, "Listing of "+s.account+"/site/") || !strings.Contains(body, want) || never != "" && strings.Contains(body, never) {
			t.Errorf("want %s, not %s, in %s", want, never, body)
		}
		return body
	}
	root := s.signedPrefix("key", "GET", "/site", "", "/")
	body := page(root, `href="./dir/?temp_url_prefix=&amp;temp_url_expires=`, `href="..`)
	page(s.signedPrefix("key", "GET", "/site", "", "/dir/")+"&inline", "&amp;inline\">sub/</a>", `>top</a>`)
	page(s.signedPrefix("key", "GET", "/site", "", "/dir/"), `href="../?temp_url_prefix=&amp;`, "inline\"")
	page(s.signedPrefix("key", "GET", "/site", "dir/", "/dir/"), `href="./a?temp_url_prefix=dir/&amp;`, `href="..`)
	page(s.signedPrefix("key", "GET", "/site", "dir/", "/dir/sub/"), `href="../?temp_url_prefix=dir/&amp;`, `>a</a>`)
	// a link of a page opens what it names
	_, link, _ := strings.Cut(body, `href="./top?`)
	link, _, _ = strings.Cut(link, `"`)
	s.expect(nobody.Get(s.account+"/site/top?"+strings.ReplaceAll(link, "&amp;", "&")), 200, "x")
	s.header(nobody.Get(s.signedPrefix("key", "GET", "/site", "", "")).Expect(301), "Location", s.cloud.URL+s.account+"/site/")
	// outside of the prefix, with other verbs, and without a site there is nothing
	for _, address := range []string{s.signedPrefix("key", "GET", "/site", "dir/", "/"), s.signedPrefix("key", "GET", "/site", "dir/", "/top"), s.account + "/site/", s.account + "/site"} {
		nobody.Get(address).Expect(401)
	}
	for _, method := range []string{"PUT", "POST", "DELETE"} {
		nobody.Do(method, s.signedPrefix("key", method, "/site", "", ""), nil).Expect(401)
	}
	s.do("POST", "/site", nil, "X-Remove-Container-Meta-Web-Listings", "x").Expect(204)
	for path, want := range map[string]int{"": 401, "/": 401, "/dir/": 404, "/dir/a": 200} {
		if a := nobody.Get(s.signedPrefix("key", "GET", "/site", "", path)); a.Status != want {
			t.Errorf("without a site, %s: %d", path, a.Status)
		}
	}
}

func TestOldVersionsAcrossModes(t *testing.T) {
	s := open(t)
	s.do("PUT", "/%C3%A4%20old", nil).Expect(201)
	s.do("PUT", "/now", nil, "X-History-Location", "ä old").Expect(201)
	mode := func(header string) {
		t.Helper()
		s.do("POST", "/now", nil, header, "%C3%A4%20old").Expect(204)
		s.header(s.do("HEAD", "/now", nil), header, "%C3%A4%20old")
	}
	kept := func(n int) {
		t.Helper()
		s.header(s.do("HEAD", "/%C3%A4%20old", nil), "X-Container-Object-Count", fmt.Sprint(n))
	}
	s.header(s.do("HEAD", "/now", nil), "X-History-Location", "%C3%A4%20old")
	s.put("/now/x", "1")
	s.put("/now/x", "2")
	kept(1)
	s.do("DELETE", "/now/x", nil).Expect(204)
	kept(3)
	mode("X-Versions-Location")
	s.do("DELETE", "/now/x", nil).Expect(204)
	s.expect(s.do("GET", "/now/x", nil), 200, "2")
	kept(1)
	mode("X-History-Location")
	s.do("DELETE", "/now/x", nil).Expect(204)
	s.do("DELETE", "/now/x", nil).Expect(404)
	kept(4)
	mode("X-Versions-Location")
	s.do("DELETE", "/now/x", nil).Expect(204)
	s.do("GET", "/now/x", nil).Expect(404)
	kept(3)
	s.do("DELETE", "/now/x", nil).Expect(204)
	s.expect(s.do("GET", "/now/x", nil), 200, "2")
	kept(1)
}

func TestOldVersions(t *testing.T) {
	s := open(t)
	s.do("PUT", "/old", nil).Expect(201)
	s.do("PUT", "/both", nil, "X-Versions-Location", "a", "X-History-Location", "b").Expect(400)
	s.do("PUT", "/slash", nil, "X-Versions-Location", "a/b").Expect(412)
	s.do("PUT", "/stack", nil, "X-Versions-Location", "old").Expect(201)
	s.header(s.do("HEAD", "/stack", nil), "X-Versions-Location", "old")
	list := func() int { return len(strings.Fields(string(s.do("GET", "/old", nil).Body))) }
	for i := range 3 {
		s.put("/stack/x", fmt.Sprint(i), "X-Object-Meta-N", fmt.Sprint(i))
	}
	if n := list(); n != 2 {
		t.Fatalf("%d versions", n)
	}
	if names := string(s.do("GET", "/old", nil).Body); !strings.HasPrefix(names, "001x/") {
		t.Fatalf("names %s", names)
	}
	for i := 1; i >= 0; i-- {
		s.do("DELETE", "/stack/x", nil).Expect(204)
		s.header(s.expect(s.do("GET", "/stack/x", nil), 200, fmt.Sprint(i)), "X-Object-Meta-N", fmt.Sprint(i))
	}
	s.do("DELETE", "/stack/x", nil).Expect(204)
	s.do("DELETE", "/stack/x", nil).Expect(404)
	if n := list(); n != 0 {
		t.Fatalf("%d versions", n)
	}
	s.do("POST", "/stack", nil, "X-History-Location", "old").Expect(204)
	a := s.do("HEAD", "/stack", nil)
	s.header(a, "X-History-Location", "old")
	s.header(a, "X-Versions-Location", "")
	s.put("/stack/y", "1")
	s.do("DELETE", "/stack/y", nil).Expect(204)
	s.do("GET", "/stack/y", nil).Expect(404)
	if n := list(); n != 2 {
		t.Fatalf("%d entries of history", n)
	}
	s.do("POST", "/stack", nil, "X-Versions-Location", "old").Expect(204)
	s.do("DELETE", "/stack/y", nil).Expect(204) // over the mark, the version comes back
	s.expect(s.do("GET", "/stack/y", nil), 200, "1")
	s.do("POST", "/stack", nil, "X-Remove-Versions-Location", "x").Expect(204)
	s.header(s.do("HEAD", "/stack", nil), "X-Versions-Location", "")
	s.do("PUT", "/lost", nil, "X-Versions-Location", "nowhere").Expect(201)
	s.put("/lost/x", "1")
	s.do("PUT", "/lost/x", "2").Expect(412)
	s.expect(s.do("GET", "/lost/x", nil), 200, "1")
	s.do("POST", "/stack", nil, "X-Versions-Enabled", "true").Expect(204)
	s.do("POST", "/stack", nil, "X-Versions-Location", "old").Expect(400)
}

func TestSmallFeatures(t *testing.T) {
	s := open(t)
	nobody := s.cloud.Anonymous()
	if a := nobody.Get("/crossdomain.xml").Expect(200); !strings.Contains(string(a.Body), "cross-domain-policy") {
		t.Errorf("%s", a.Body)
	}
	s.do("PUT", "/box", nil, "X-Container-Sync-To", "//realm/cluster/a/c").Expect(501)
	info := nobody.Get("/info").Expect(200)
	for _, name := range []string{"tempurl", "formpost", "bulk_upload", "bulk_delete", "staticweb", "container_quotas", "account_quotas", "versioned_writes", "crossdomain"} {
		if info.Value(name) == nil {
			t.Errorf("/info has no %s", name)
		}
	}
	if info.Value("container_sync") != nil {
		t.Error("/info offers container_sync")
	}
	for _, path := range []string{"/auth/v1.0", "/auth/v1"} {
		a := nobody.Do("GET", path, nil, "X-Auth-User", "demo:demo", "X-Auth-Key", testcloud.DemoPassword).Expect(200)
		if a.Header.Get("X-Storage-Url") != s.cloud.URL+s.account || a.Header.Get("X-Auth-Token") == "" {
			t.Fatalf("%v", a.Header)
		}
		nobody.Do("PUT", s.account+"/box", nil, "X-Auth-Token", a.Header.Get("X-Storage-Token"))
		nobody.Do("HEAD", s.account+"/box", nil, "X-Auth-Token", a.Header.Get("X-Auth-Token")).Expect(204)
	}
	nobody.Do("GET", "/auth/v1.0", nil, "X-Storage-User", "demo", "X-Storage-Pass", testcloud.DemoPassword).Expect(200)
	nobody.Do("GET", "/auth/v1.0", nil, "X-Auth-User", "demo:demo", "X-Auth-Key", "wrong").Expect(401)
	nobody.Do("GET", "/auth/v1.0", nil).Expect(401)
}
