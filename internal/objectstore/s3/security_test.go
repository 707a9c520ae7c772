package s3_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/testcloud"
)

func (c *client) hmac1(text string) string {
	h := hmac.New(sha1.New, []byte(c.key.SecretAccessKey))
	h.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// SEC-11: clocks within 15 minutes, presigned addresses within a week, one
// answer for whatever is wrong with a key, and no way from a signature to a token.
func TestSignatures(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	c := newClient(t, cloud, cloud.Demo)
	c.put("/box", "").expect(200)
	c.put("/box/k", "hello").expect(200)
	now := time.Now()

	late := *c
	late.at = now.Add(-14 * time.Minute)
	late.get("/box/k").expect(200)
	late.at = now.Add(-16 * time.Minute)
	late.get("/box/k").fails(403, "RequestTimeTooSkewed")
	late.at = now.Add(16 * time.Minute)
	late.get("/box/k").fails(403, "RequestTimeTooSkewed")
	abroad := *c
	abroad.region = "eu-west-1"
	abroad.get("/box/k").fails(400, "AuthorizationHeaderMalformed")
	abroad.region = "RegionOne"
	abroad.get("/box/k").expect(200)

	wrong, unknown := *c, *c
	wrong.key.SecretAccessKey = "wrong"
	unknown.key.AccessKeyID = strings.Repeat("0", 32)
	wrong.get("/box/k").fails(403, "SignatureDoesNotMatch")
	unknown.get("/box/k").fails(403, "SignatureDoesNotMatch")

	address, header := c.presign("GET", "/box/k?response-content-type=text/x", "600", now)
	anyone := anonymous(t, cloud)
	pairs := func(h http.Header) []string {
		var out []string
		for name := range h {
			if name != "Host" {
				out = append(out, name, h.Get(name))
			}
		}
		return out
	}
	a := anyone.get(address, pairs(header)...).expect(200).is("hello").has("Content-Type", "text/x")
	for _, name := range []string{"X-Subject-Token", "X-Auth-Token"} {
		a.has(name, "")
	}
	anyone.put(address, "x").fails(403, "SignatureDoesNotMatch")
	anyone.get(strings.Replace(address, "/box/k", "/box/other", 1)).fails(403, "SignatureDoesNotMatch")
	anyone.get(address+"&versionId=null").fails(403, "SignatureDoesNotMatch")
	if got := cloud.Anonymous().Get("/identity/v3/auth/tokens" + address[strings.Index(address, "?"):]); got.Status < 400 {
		t.Errorf("a presigned address gives %d at identity", got.Status)
	}
	address, _ = c.presign("GET", "/box/k", "60", now.Add(-2*time.Minute))
	anyone.get(address).fails(403, "AccessDenied")
	address, _ = c.presign("GET", "/box/k", "604801", now)
	anyone.get(address).fails(400, "AuthorizationQueryParametersError")
	address, _ = c.presign("GET", "/box/k", "604800", now.Add(-6*24*time.Hour))
	anyone.get(address).expect(200)
	address, _ = c.presign("GET", "/box/k", "600", now.Add(time.Hour))
	anyone.get(address).fails(403, "AccessDenied")
	address, header = c.presign("PUT", "/box/new", "600", now, "Content-Type", "text/plain")
	anyone.put(address, "by anyone", pairs(header)...).expect(200)
	c.get("/box/new").is("by anyone").has("Content-Type", "text/plain")
	c.get("/box/k", "X-Amz-Security-Token", "session").fails(400, "InvalidToken")

	expires := strconv.FormatInt(now.Add(time.Hour).Unix(), 10)
	q := url.Values{"AWSAccessKeyId": {c.key.AccessKeyID}, "Expires": {expires}, "Signature": {c.hmac1("GET\n\n\n" + expires + "\n/box/k")}}
	anyone.get("/box/k?" + q.Encode()).expect(200).is("hello")
	anyone.get("/box/new?"+q.Encode()).fails(403, "SignatureDoesNotMatch")
	date := now.UTC().Format(http.TimeFormat)
	anyone.put("/box/two", "v2", "Date", date, "Content-Type", "text/x", "X-Amz-Meta-A", "b",
		"Authorization", "AWS "+c.key.AccessKeyID+":"+c.hmac1("PUT\n\ntext/x\n"+date+"\nx-amz-meta-a:b\n/box/two")).expect(200)
	c.get("/box/two").is("v2").has("X-Amz-Meta-A", "b")
	anyone.get("/box/k", "Authorization", "Bearer abc").fails(400, "InvalidArgument")
}

// A key ends with its user, its project, or itself, and at once.
func TestDisabledSubjects(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	c := newClient(t, cloud, cloud.Demo)
	c.put("/box", "").expect(200)
	user, project := "/identity/v3/users/"+cloud.Demo.UserID, "/identity/v3/projects/"+cloud.Demo.ProjectID
	set := func(path, kind string, enabled bool) {
		cloud.Admin.Do("PATCH", path, map[string]any{kind: map[string]any{"enabled": enabled}}).Expect(200)
	}
	address, _ := c.presign("GET", "/box?max-keys=1", "600", time.Now())
	for path, kind := range map[string]string{user: "user", project: "project"} {
		set(path, kind, false)
		c.get("/box").fails(403, "SignatureDoesNotMatch")
		anonymous(t, cloud).get(address).fails(403, "SignatureDoesNotMatch")
		set(path, kind, true)
		c.get("/box").expect(200)
	}
	cloud.Admin.Do("DELETE", user+"/credentials/OS-EC2/"+c.key.AccessKeyID, nil).Expect(204)
	c.get("/box").fails(403, "SignatureDoesNotMatch")
}

// Projects do not see each other; access lists let others in.
func TestAccessLists(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	c, other, anyone := newClient(t, cloud, cloud.Demo), newClient(t, cloud, cloud.Admin), anonymous(t, cloud)
	c.put("/box", "").expect(200)
	c.put("/box/k", "hello").expect(200)
	other.get("/box/k").fails(404, "NoSuchBucket")
	other.put("/box/k", "x").fails(404, "NoSuchBucket")
	other.put("/mine/k", "", "X-Amz-Copy-Source", "/box/k").fails(404, "NoSuchBucket")
	anyone.get("/box/k").fails(403, "AccessDenied")
	anyone.get("/none/k").fails(403, "AccessDenied")
	anyone.get("/").fails(403, "AccessDenied")
	anyone.put("/box/k", "x").fails(403, "AccessDenied")
	anyone.put("/anew", "").fails(403, "AccessDenied")

	c.get("/box?acl").expect(200).lists("Permission", "FULL_CONTROL").lists("ID", "demo:demo", "demo:demo")
	c.put("/box?acl", "").fails(400, "MissingSecurityHeader")
	c.put("/box?acl", "", "X-Amz-Acl", "nonsense").fails(400, "InvalidArgument")
	c.put("/box?acl", "", "X-Amz-Acl", "authenticated-read").fails(501, "NotImplemented")
	c.put("/box?acl", "", "X-Amz-Acl", "public-read-write").fails(400, "InvalidRequest")
	c.put("/box?acl", "<AccessControlPolicy>", "Content-Type", "text/xml").fails(400, "MalformedACLError")
	c.put("/box?acl", "", "X-Amz-Acl", "public-read").expect(200)
	c.get("/box?acl").lists("Permission", "FULL_CONTROL", "READ").lists("URI", "http://acs.amazonaws.com/groups/global/AllUsers")
	c.get("/box/k?acl").expect(200).lists("Permission", "FULL_CONTROL", "READ")
	c.put("/box/k?acl", "", "X-Amz-Acl", "public-read").fails(501, "NotImplemented")
	anyone.get("/box/k").expect(200).is("hello")
	anyone.do("HEAD", "/box/k", "").expect(200)
	anyone.get("/box").expect(200).lists("Key", "k")
	anyone.get("/box/k?response-content-type=text/html").fails(400, "InvalidRequest")
	anyone.put("/box/k", "x").fails(403, "AccessDenied")
	anyone.do("DELETE", "/box/k", "").fails(403, "AccessDenied")
	anyone.get("/box?acl").fails(403, "AccessDenied")
	other.get("/box/k").expect(200).is("hello")
	other.put("/mine", "").expect(200)
	other.put("/mine/k", "", "X-Amz-Copy-Source", "/box/k").expect(200)
	other.put("/box/k", "x").fails(404, "NoSuchBucket")

	// A younger bucket of the same name in another account does not take the reader away.
	other.put("/box", "", "X-Amz-Acl", "public-read").expect(200)
	other.put("/box/k", "impostor").expect(200)
	anyone.get("/box/k").is("hello")
	other.get("/box/k").is("impostor")
	other.do("DELETE", "/box/k", "").expect(204)
	other.do("DELETE", "/box", "").expect(204)

	grants := c.get("/box?acl").body
	c.put("/box?acl", "", "X-Amz-Acl", "private").expect(200)
	anyone.get("/box/k").fails(403, "AccessDenied")
	c.put("/box?acl", string(grants)).expect(200)
	anyone.get("/box/k").expect(200)
	c.put("/box?acl", string(grants), "X-Amz-Acl", "private").fails(400, "UnexpectedContent")
	c.put("/box?acl", "", "X-Amz-Grant-Read", `id="admin:admin"`).expect(200)
	c.get("/box?acl").lists("ID", "demo:demo", "demo:demo", "admin:admin").lists("Permission", "FULL_CONTROL", "READ")
	anyone.get("/box/k").fails(403, "AccessDenied")
	other.get("/box/k").expect(200).is("hello")
	c.put("/box?acl", "", "X-Amz-Grant-Full-Control", `id="admin:admin"`).fails(501, "NotImplemented")
	c.put("/box?acl", "", "X-Amz-Grant-Read", `uri="http://acs.amazonaws.com/groups/global/AuthenticatedUsers"`).fails(501, "NotImplemented")
	c.put("/box?acl", "", "X-Amz-Grant-Read", `id="no-colon"`).fails(400, "InvalidArgument")
	c.put("/public", "", "X-Amz-Acl", "public-read").expect(200)
	c.put("/public/k", "for all").expect(200)
	anyone.get("/public/k").is("for all")
}

// A member who may only read does.
func TestReaderRole(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	c := newClient(t, cloud, cloud.Demo)
	c.put("/box", "").expect(200)
	c.put("/box/k", "hello").expect(200)
	role := func(name string) string {
		return cloud.Admin.Get("/identity/v3/roles?name=" + name).String("roles.0.id")
	}
	grants := "/identity/v3/projects/" + cloud.Demo.ProjectID + "/users/" + cloud.Demo.UserID + "/roles/"
	cloud.Admin.Do("PUT", grants+role("reader"), nil).Expect(204)
	cloud.Admin.Do("DELETE", grants+role("member"), nil).Expect(204)
	c.get("/box/k").expect(200)
	c.get("/").expect(200)
	c.put("/box/k", "x").fails(403, "AccessDenied")
	c.put("/more", "").fails(403, "AccessDenied")
	c.do("DELETE", "/box/k", "").fails(403, "AccessDenied")
	c.put("/box?acl", "", "X-Amz-Acl", "public-read").fails(403, "AccessDenied")
}

func TestBucketInTheHostName(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t, func(c *config.Config) { c.Objects.Domains = []string{"s3.cloud.test"} })
	c := newClient(t, cloud, cloud.Demo)
	c.put("/box", "").expect(200)
	c.host = "box.s3.cloud.test:8080"
	c.put("/dir/k", "hello").expect(200)
	c.get("/").expect(200).lists("Key", "dir/k")
	c.host = ""
	c.get("/box/dir/k").is("hello")
}

// A browser's upload does what its signed policy allows, and nothing else.
func TestForms(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	c, anyone := newClient(t, cloud, cloud.Demo), anonymous(t, cloud)
	c.put("/box", "").expect(200)
	post := func(file string, fields map[string]string, conditions ...any) *answer {
		policy, err := json.Marshal(map[string]any{"expiration": time.Now().Add(time.Hour).UTC().Format(time.RFC3339), "conditions": conditions})
		must(t, err)
		encoded := base64.StdEncoding.EncodeToString(policy)
		all := map[string]string{"policy": encoded, "AWSAccessKeyId": c.key.AccessKeyID, "signature": c.hmac1(encoded)}
		for name, value := range fields {
			all[name] = value
		}
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		for name, value := range all {
			must(t, w.WriteField(name, value))
		}
		f, err := w.CreateFormFile("file", "snow.txt")
		must(t, err)
		_, err = f.Write([]byte(file))
		must(t, err)
		must(t, w.WriteField("submit", "Upload"))
		must(t, w.Close())
		return anyone.do("POST", "/box", b.String(), "Content-Type", w.FormDataContentType())
	}
	bucket, key := map[string]string{"bucket": "box"}, []any{"starts-with", "$key", "up/"}
	post("hello", map[string]string{"key": "up/${filename}"}, bucket, key).expect(204).has("ETag", etag("hello")).has("Location", c.url+"/box/up/snow.txt")
	c.get("/box/up/snow.txt").is("hello")
	post("hello", map[string]string{"key": "up/t", "Content-Type": "text/x", "x-amz-meta-a": "b", "success_action_status": "201"}, bucket, key,
		map[string]string{"Content-Type": "text/x", "success_action_status": "201"}, []any{"eq", "$x-amz-meta-a", "b"}).expect(201).lists("Key", "up/t")
	c.get("/box/up/t").has("Content-Type", "text/x").has("X-Amz-Meta-A", "b")
	post("hello", map[string]string{"key": "up/r", "success_action_redirect": "http://site.test/done?x=1"}, bucket, key, []any{"starts-with", "$success_action_redirect", ""}).
		expect(303).has("Location", "http://site.test/done?bucket=box&etag="+url.QueryEscape(etag("hello"))+"&key=up%2Fr&x=1")
	post("hello", map[string]string{"key": "down/t"}, bucket, key).fails(403, "AccessDenied")
	post("hello", map[string]string{"key": "up/t", "x-amz-meta-b": "c"}, bucket, key).fails(403, "AccessDenied")
	post("hello", map[string]string{"key": "up/t"}, map[string]string{"bucket": "other"}, key).fails(403, "AccessDenied")
	post("hello", map[string]string{"key": "up/t"}, key).fails(403, "AccessDenied")
	post("hello", map[string]string{"key": "up/t", "signature": "AAAA"}, bucket, key).fails(403, "SignatureDoesNotMatch")
	post("hello", map[string]string{"key": "up/t"}, bucket, key, []any{"content-length-range", 1, 4}).fails(400, "EntityTooLarge")
	post("hello", map[string]string{"key": "up/t"}, bucket, key, []any{"content-length-range", 6, 10}).fails(400, "EntityTooSmall")
	post("hello", map[string]string{"key": "up/t"}, bucket, key, []any{"matches", "$key", "x"}).fails(400, "InvalidPolicyDocument")
	post("hello", nil, bucket).fails(400, "UserKeyMustBeSpecified")
	post("hello", map[string]string{"key": "up/t", "x-ignore-long": strings.Repeat("x", 30000)}, bucket, key).fails(400, "MaxPostPreDataLengthExceededError")
	anyone.do("POST", "/box", "not a form", "Content-Type", "multipart/form-data; boundary=x").fails(400, "IncorrectNumberOfFilesInPostRequest")
	c.get("/box/up/t").is("hello")
}

// What S3 writes, Swift shows, and the other way round.
func TestSwiftSeesTheSame(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	c := newClient(t, cloud, cloud.Demo)
	swift := *cloud.Demo
	swift.URL = cloud.S3
	root := "/v1/AUTH_" + cloud.Demo.ProjectID
	c.put("/box", "").expect(200)
	c.put("/box/by-s3", "hello", "Content-Type", "text/plain", "X-Amz-Meta-Color", "red").expect(200)
	a := swift.Get(root + "/box/by-s3")
	a.Expect(200)
	if string(a.Body) != "hello" || a.Header.Get("X-Object-Meta-Color") != "red" || a.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("Swift shows %q %v", a.Body, a.Header)
	}
	swift.Do("PUT", root+"/box/by-swift", "from swift", "X-Object-Meta-Size", "big", "Content-Type", "text/x").Expect(201)
	c.get("/box/by-swift").is("from swift").has("X-Amz-Meta-Size", "big").has("Content-Type", "text/x").has("ETag", etag("from swift"))
	c.get("/box").lists("Key", "by-s3", "by-swift")
	for i, part := range []string{"first ", "second"} {
		swift.Do("PUT", fmt.Sprintf("%s/box/seg/%d", root, i), part).Expect(201)
	}
	swift.Do("PUT", root+"/box/slo?multipart-manifest=put", []map[string]any{{"path": "/box/seg/0"}, {"path": "/box/seg/1"}}).Expect(201)
	swift.Do("PUT", root+"/box/dlo", "", "X-Object-Manifest", "box/seg/").Expect(201)
	for _, key := range []string{"slo", "dlo"} {
		if got := c.get("/box/" + key).expect(200).is("first second").header.Get("ETag"); !strings.HasSuffix(got, `-N"`) {
			t.Errorf("%s has the ETag %s", key, got)
		}
		c.get("/box/"+key, "Range", "bytes=4-8").expect(206).is("t sec")
	}
	c.put("/box/copy", "", "X-Amz-Copy-Source", "/box/slo").expect(200).lists("ETag", etag("first second"))
	c.get("/box/copy").is("first second")
	c.do("DELETE", "/box/slo", "").expect(204)
	c.get("/box?prefix=seg").lists("Key")
	c.get("/box/copy").is("first second")
}

// Every change leaves one audit record, with who asked.
func TestAudit(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	c := newClient(t, cloud, cloud.Demo)
	c.put("/box", "").expect(200)
	c.put("/box/k", "hello").expect(200)
	c.get("/box/k").expect(200)
	c.do("DELETE", "/box/k", "").expect(204)
	c.put("/box?acl", "", "X-Amz-Acl", "public-read").expect(200)
	want := []string{"container create", "object create", "object delete", "container update"}
	deadline := time.Now().Add(20 * time.Second)
	for {
		var got []string
		rows, err := cloud.DB.QueryContext(context.Background(), "SELECT body FROM outbox_records UNION ALL SELECT body FROM outbox_waiting")
		must(t, err)
		for rows.Next() {
			var body string
			must(t, rows.Scan(&body))
			var r event.Record
			must(t, json.Unmarshal([]byte(body), &r))
			if r.Service == "object-store" && r.UserID == cloud.Demo.UserID && r.ProjectID == cloud.Demo.ProjectID && r.RequestID != "" {
				got = append(got, r.Kind+" "+r.Action)
			}
		}
		must(t, rows.Close())
		if len(got) >= len(want) || time.Now().After(deadline) {
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("records are %q, want %q", got, want)
			}
			return
		}
		cloud.RunTasks()
	}
}
