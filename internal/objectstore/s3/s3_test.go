package s3_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/testcloud"
)

func TestBuckets(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	c := newClient(t, cloud, cloud.Demo)
	c.get("/").expect(200).lists("Name").lists("ID", "demo:demo")
	c.put("/photos", "").expect(200).has("Location", "/photos")
	c.put("/photos", "").fails(409, "BucketAlreadyOwnedByYou")
	c.put("/music", `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>RegionOne</LocationConstraint></CreateBucketConfiguration>`).expect(200)
	c.put("/far", `<CreateBucketConfiguration><LocationConstraint>eu-west-9</LocationConstraint></CreateBucketConfiguration>`).fails(400, "InvalidLocationConstraint")
	c.put("/far", `<!DOCTYPE a [<!ENTITY b "c">]><CreateBucketConfiguration/>`).fails(400, "MalformedXML")
	c.get("/").expect(200).lists("Name", "music", "photos")
	c.get("/?max-buckets=1").expect(200).lists("Name", "music")
	next := c.get("/?max-buckets=1").text("ContinuationToken")
	c.get("/?max-buckets=1&continuation-token="+escaped(next)).expect(200).lists("Name", "photos")
	c.get("/?prefix=p").lists("Name", "photos")
	c.do("HEAD", "/photos", "").expect(200)
	c.do("HEAD", "/nothing", "").expect(404)
	c.get("/photos?location").expect(200).lists("LocationConstraint", "")
	c.get("/photos?logging").expect(200)
	c.get("/photos?tagging").expect(200).lists("TagSet", "")
	c.get("/photos?object-lock").fails(404, "ObjectLockConfigurationNotFoundError")
	c.get("/nothing?location").fails(404, "NoSuchBucket")
	for _, name := range []string{"ab", "Upper", "under_score", "a..b", "a.-b", "-ab", "ab-", "192.168.1.1", strings.Repeat("a", 64)} {
		c.put("/"+name, "").fails(400, "InvalidBucketName")
	}
	for _, sub := range []string{"policy", "lifecycle", "website", "cors", "notification", "requestPayment", "encryption", "replication", "publicAccessBlock"} {
		c.get("/photos?"+sub).fails(501, "NotImplemented")
		c.put("/photos?"+sub, "<x/>").fails(501, "NotImplemented")
	}
	c.put("/photos?tagging", "<Tagging/>").fails(501, "NotImplemented")
	c.put("/photos?logging", "<x/>").fails(501, "NotImplemented")
	c.do("DELETE", "/photos?versioning", "").fails(405, "MethodNotAllowed")
	c.do("POST", "/photos", "").fails(501, "NotImplemented")
	c.put("/photos/a", "x").expect(200)
	c.do("DELETE", "/photos", "").fails(409, "BucketNotEmpty")
	c.do("DELETE", "/photos/a", "").expect(204)
	c.do("DELETE", "/photos", "").expect(204)
	c.do("DELETE", "/photos", "").fails(404, "NoSuchBucket")
}

func TestObjects(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	c := newClient(t, cloud, cloud.Demo)
	c.put("/box", "").expect(200)
	c.put("/box/a/b%20c%C3%A9+", "hello", "Content-Type", "text/plain", "X-Amz-Meta-Color", "deep red", "X-Amz-Meta-Snow_Man", "☃",
		"Cache-Control", "no-cache", "Content-Encoding", "br, aws-chunked", "Content-Md5", contentMD5("hello")).expect(200).has("ETag", etag("hello"))
	a := c.get("/box/a/b%20c%C3%A9+").expect(200).is("hello").has("Content-Type", "text/plain").has("X-Amz-Meta-Color", "deep red").
		has("X-Amz-Meta-Snow_Man", "=?UTF-8?q?=E2=98=83?=").has("Cache-Control", "no-cache").has("Content-Encoding", "br").has("ETag", etag("hello")).
		has("Accept-Ranges", "bytes").has("Content-Length", "5")
	c.do("HEAD", "/box/a/b%20c%C3%A9+", "").expect(200).has("Content-Length", "5").has("ETag", etag("hello")).has("Last-Modified", a.header.Get("Last-Modified"))
	c.put("/box/plain", "x").expect(200)
	c.get("/box/plain").has("Content-Type", "binary/octet-stream")
	c.put("/box/empty", "").expect(200).has("ETag", etag(""))
	c.get("/box/empty").expect(200).is("").has("Content-Length", "0")
	c.put("/box/dir/", "").expect(200)
	c.get("/box/dir/").expect(200)
	c.get("/box/none").fails(404, "NoSuchKey")
	c.do("HEAD", "/box/none", "").expect(404)
	c.get("/none/none").fails(404, "NoSuchBucket")
	c.put("/none/none", "x").fails(404, "NoSuchBucket")
	c.put("/box/"+strings.Repeat("k", 1025), "x").fails(400, "KeyTooLongError")
	c.put("/box/plain", "x", "Content-Md5", contentMD5("y")).fails(400, "BadDigest")
	c.put("/box/plain", "x", "Content-Md5", "nonsense").fails(400, "InvalidDigest")
	c.put("/box/plain", "x", "X-Amz-Content-Sha256", strings.Repeat("0", 64)).fails(400, "XAmzContentSHA256Mismatch")
	c.put("/box/plain", "x", "X-Amz-Storage-Class", "GLACIER").fails(400, "InvalidStorageClass")
	c.put("/box/plain", "x", "X-Amz-Meta-Long", strings.Repeat("v", 5000)).fails(400, "MetadataTooLarge")
	for _, header := range []string{"X-Amz-Tagging", "X-Amz-Server-Side-Encryption-Customer-Algorithm", "X-Amz-Mfa", "X-Amz-Website-Redirect-Location"} {
		c.put("/box/plain", "x", header, "a").fails(501, "NotImplemented")
	}
	c.put("/box/plain", "x", "X-Amz-Server-Side-Encryption", "AES256").fails(501, "NotImplemented")
	c.put("/box/plain", "x", "X-Amz-Acl", "public-read").expect(200)
	c.put("/box/plain", "x", "X-Amz-Acl", "authenticated-read").fails(501, "NotImplemented")
	c.put("/box/plain", "x", "X-Amz-Acl", "nonsense").fails(400, "InvalidArgument")
	c.get("/box/plain?tagging").expect(200)
	c.get("/box/none?tagging").fails(404, "NoSuchKey")
	c.do("POST", "/box/plain", "x").fails(501, "NotImplemented")
	c.get("/box/plain?torrent").fails(501, "NotImplemented")
	c.get("/box/plain?response-content-type=text/x&response-content-disposition=attachment&response-cache-control=private").expect(200).
		has("Content-Type", "text/x").has("Content-Disposition", "attachment").has("Cache-Control", "private")
	c.do("DELETE", "/box/plain", "").expect(204)
	c.do("DELETE", "/box/plain", "").expect(204)
	c.do("DELETE", "/none/plain", "").fails(404, "NoSuchBucket")
}

func TestRangesAndConditions(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	c := newClient(t, cloud, cloud.Demo)
	c.put("/box", "").expect(200)
	c.put("/box/k", "0123456789").expect(200)
	for header, want := range map[string]string{"bytes=0-3": "0123", "bytes=4-": "456789", "bytes=-2": "89", "bytes=8-100": "89", "bytes=-100": "0123456789"} {
		a := c.get("/box/k", "Range", header).expect(206).is(want)
		if !strings.HasPrefix(a.header.Get("Content-Range"), "bytes ") || !strings.HasSuffix(a.header.Get("Content-Range"), "/10") {
			t.Errorf("%s: Content-Range %q", header, a.header.Get("Content-Range"))
		}
		c.do("HEAD", "/box/k", "", "Range", header).expect(206).has("Content-Length", fmt.Sprint(len(want)))
	}
	c.get("/box/k", "Range", "bytes=2-5").has("Content-Range", "bytes 2-5/10")
	for _, header := range []string{"bytes=0-1,3-4", "lines=1-2", "bytes=5-2", "bytes=a-b", "bytes=-"} {
		c.get("/box/k", "Range", header).expect(200).is("0123456789")
	}
	c.get("/box/k", "Range", "bytes=10-").fails(416, "InvalidRange")
	c.get("/box/k", "Range", "bytes=-0").fails(416, "InvalidRange")
	c.get("/box/k?partNumber=1").expect(206).is("0123456789")
	c.get("/box/k?partNumber=2").fails(416, "InvalidPartNumber")
	c.get("/box/k?partNumber=0").fails(400, "InvalidArgument")
	c.get("/box/k?partNumber=1", "Range", "bytes=0-1").fails(400, "InvalidRequest")

	tag, modified := etag("0123456789"), c.get("/box/k").header.Get("Last-Modified")
	at, err := http.ParseTime(modified)
	must(t, err)
	before, after := at.Add(-time.Hour).Format(http.TimeFormat), at.Add(time.Hour).Format(http.TimeFormat)
	c.get("/box/k", "If-Match", tag).expect(200)
	c.get("/box/k", "If-Match", "*").expect(200)
	c.get("/box/k", "If-Match", `"other"`).fails(412, "PreconditionFailed")
	c.get("/box/k", "If-None-Match", tag).expect(304).is("").has("ETag", tag)
	c.get("/box/k", "If-None-Match", `"other"`).expect(200)
	c.get("/box/k", "If-Modified-Since", modified).expect(304)
	c.get("/box/k", "If-Modified-Since", before).expect(200)
	c.get("/box/k", "If-Unmodified-Since", before).fails(412, "PreconditionFailed")
	c.get("/box/k", "If-Unmodified-Since", modified).expect(200)
	c.get("/box/k", "If-Match", tag, "If-Unmodified-Since", before).expect(200)
	c.get("/box/k", "If-None-Match", `"other"`, "If-Modified-Since", after).expect(200)
	c.put("/box/k", "x", "If-None-Match", "*").fails(412, "PreconditionFailed")
	c.put("/box/new", "x", "If-None-Match", "*").expect(200)
	c.put("/box/k", "y", "If-Match", `"other"`).fails(412, "PreconditionFailed")
	c.put("/box/k", "y", "If-Match", tag).expect(200)
	c.put("/box/none", "y", "If-Match", tag).fails(404, "NoSuchKey")
	c.put("/box/k", "y", "If-Modified-Since", before).fails(501, "NotImplemented")
	c.do("DELETE", "/box/k", "", "If-Match", tag).fails(412, "PreconditionFailed")
	c.do("DELETE", "/box/k", "", "If-Match", etag("y")).expect(204)
}

func TestLists(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	c := newClient(t, cloud, cloud.Demo)
	c.put("/box", "").expect(200)
	for _, k := range []string{"a", "b/1", "b/2", "c d/x+y", "e/1/2", "f"} {
		c.put("/box/"+escaped(k), k).expect(200)
	}
	c.get("/box").expect(200).lists("Key", "a", "b/1", "b/2", "c d/x+y", "e/1/2", "f").lists("IsTruncated", "false").lists("ID", "demo:demo", "demo:demo", "demo:demo", "demo:demo", "demo:demo", "demo:demo")
	c.get("/box?delimiter=/").lists("Key", "a", "f").lists("Prefix", "", "b/", "c d/", "e/")
	c.get("/box?delimiter=/&prefix=b/").lists("Key", "b/1", "b/2")
	c.get("/box?marker=b/1").lists("Key", "b/2", "c d/x+y", "e/1/2", "f")
	first := c.get("/box?max-keys=2&delimiter=/").lists("Key", "a").lists("Prefix", "", "b/").lists("IsTruncated", "true")
	c.get("/box?max-keys=2&delimiter=/&marker="+first.text("NextMarker")).lists("Prefix", "", "c d/", "e/").lists("IsTruncated", "true")
	c.get("/box?encoding-type=url&prefix=c%20").lists("Key", "c%20d/x%2By").lists("EncodingType", "url").lists("Prefix", "c%20")
	c.get("/box?max-keys=0").expect(200).lists("Key").lists("IsTruncated", "false")
	c.get("/box?max-keys=-1").fails(400, "InvalidArgument")
	c.get("/box?max-keys=x").fails(400, "InvalidArgument")
	c.get("/box?encoding-type=base64").fails(400, "InvalidArgument")
	c.get("/none").fails(404, "NoSuchBucket")

	var got []string
	token := ""
	for pages := 0; ; pages++ {
		a := c.get("/box?list-type=2&max-keys=2" + token).expect(200).lists("ID")
		got = append(got, a.texts("Key")...)
		if a.text("KeyCount") != "2" || pages > 3 {
			t.Fatalf("page %d: %s", pages, a.body)
		}
		if a.text("IsTruncated") == "false" {
			break
		}
		token = "&continuation-token=" + escaped(a.text("NextContinuationToken"))
	}
	if strings.Join(got, " ") != "a b/1 b/2 c d/x+y e/1/2 f" {
		t.Errorf("pages give %q", got)
	}
	c.get("/box?list-type=2&start-after=b/2").lists("Key", "c d/x+y", "e/1/2", "f").lists("StartAfter", "b/2")
	c.get("/box?list-type=2&fetch-owner=true&prefix=a").lists("ID", "demo:demo").lists("ETag", etag("a")).lists("Size", "1").lists("StorageClass", "STANDARD")
	c.get("/box?list-type=2&continuation-token=%2A").fails(400, "InvalidArgument")
	c.get("/box?list-type=x").fails(400, "InvalidArgument")
}

func TestDeleteMany(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	c := newClient(t, cloud, cloud.Demo)
	c.put("/box", "").expect(200)
	for _, k := range []string{"a", "b", "c"} {
		c.put("/box/"+k, k).expect(200)
	}
	body := `<Delete><Object><Key>a</Key></Object><Object><Key>none</Key></Object></Delete>`
	c.do("POST", "/box?delete", body).fails(400, "InvalidRequest")
	c.do("POST", "/box?delete", body, "Content-Md5", contentMD5("other")).fails(400, "BadDigest")
	c.do("POST", "/box?delete", body, "Content-Md5", contentMD5(body)).expect(200).lists("Key", "a", "none").lists("Code")
	body = `<Delete><Quiet>true</Quiet><Object><Key>b</Key></Object></Delete>`
	c.do("POST", "/box?delete", body, "Content-Md5", contentMD5(body)).expect(200).lists("Key")
	c.get("/box").lists("Key", "c")
	for _, bad := range []string{"<Delete></Delete>", "<Delete>", "<Delete>" + strings.Repeat("<Object><Key>x</Key></Object>", 1001) + "</Delete>"} {
		c.do("POST", "/box?delete", bad, "Content-Md5", contentMD5(bad)).fails(400, "MalformedXML")
	}
	bad := "<Delete><Object><Key></Key></Object></Delete>"
	c.do("POST", "/box?delete", bad, "Content-Md5", contentMD5(bad)).fails(400, "UserKeyMustBeSpecified")
	c.do("POST", "/box?delete", "", "Content-Md5", contentMD5("")).fails(400, "MissingRequestBodyError")
}

func TestVersions(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	c := newClient(t, cloud, cloud.Demo)
	c.put("/box", "").expect(200)
	c.put("/box/k", "zero").expect(200)
	c.get("/box?versioning").expect(200).lists("Status")
	c.put("/box?versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>").expect(200)
	c.put("/box?versioning", "<VersioningConfiguration><Status>Maybe</Status></VersioningConfiguration>").fails(400, "MalformedXML")
	c.put("/box?versioning", "").fails(400, "MalformedXML")
	c.get("/box?versioning").lists("Status", "Enabled")
	one := c.put("/box/k", "one").expect(200).header.Get("X-Amz-Version-Id")
	two := c.put("/box/k", "two").expect(200).header.Get("X-Amz-Version-Id")
	if one == "" || two == "" || one == two {
		t.Fatalf("versions %q and %q", one, two)
	}
	c.get("/box/k").is("two").has("X-Amz-Version-Id", two)
	c.get("/box/k?versionId="+one).expect(200).is("one").has("X-Amz-Version-Id", one)
	c.get("/box/k?versionId=null").expect(200).is("zero")
	c.get("/box/k?versionId=nonsense").fails(404, "NoSuchVersion")
	c.get("/box?versions").lists("VersionId", two, one, "null").lists("IsLatest", "true", "false", "false").lists("Key", "k", "k", "k")
	page := c.get("/box?versions&max-keys=1").lists("VersionId", two).lists("IsTruncated", "true")
	c.get("/box?versions&key-marker="+page.text("NextKeyMarker")+"&version-id-marker="+page.text("NextVersionIdMarker")).lists("VersionId", one, "null")
	c.get("/box?versions&version-id-marker=x").fails(400, "InvalidArgument")
	marker := c.do("DELETE", "/box/k", "").expect(204).has("X-Amz-Delete-Marker", "true").header.Get("X-Amz-Version-Id")
	c.get("/box/k").fails(404, "NoSuchKey").has("X-Amz-Delete-Marker", "true").has("X-Amz-Version-Id", marker)
	c.get("/box/k?versionId="+marker).fails(405, "MethodNotAllowed").has("X-Amz-Delete-Marker", "true").has("Allow", "DELETE")
	a := c.get("/box?versions").expect(200)
	if !strings.Contains(string(a.body), "<DeleteMarker>") || strings.Count(string(a.body), "<Version>") != 3 {
		t.Errorf("versions with a marker: %s", a.body)
	}
	c.get("/box").lists("Key")
	c.do("DELETE", "/box", "").fails(409, "BucketNotEmpty")
	c.do("DELETE", "/box/k?versionId="+marker, "").expect(204).has("X-Amz-Delete-Marker", "true").has("X-Amz-Version-Id", marker)
	c.get("/box/k").expect(200).is("two")
	c.do("DELETE", "/box/k?versionId="+two, "").expect(204)
	c.get("/box/k").expect(200).is("one")
	c.put("/box?versioning", "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>").expect(200)
	c.put("/box/k", "three").expect(200).has("X-Amz-Version-Id", "null")
	c.get("/box?versions").lists("VersionId", "null", one)
	body := `<Delete><Object><Key>k</Key><VersionId>` + one + `</VersionId></Object><Object><Key>k</Key><VersionId>null</VersionId></Object></Delete>`
	c.do("POST", "/box?delete", body, "Content-Md5", contentMD5(body)).expect(200).lists("VersionId", one, "null").lists("Code")
	c.do("DELETE", "/box", "").expect(204)
}

func TestCopies(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	c := newClient(t, cloud, cloud.Demo)
	c.put("/box", "").expect(200)
	c.put("/other", "").expect(200)
	c.put("/box/a%20b", "hello", "Content-Type", "text/plain", "X-Amz-Meta-Color", "red").expect(200)
	c.put("/other/copy", "", "X-Amz-Copy-Source", "/box/a%20b").expect(200).lists("ETag", etag("hello"))
	c.get("/other/copy").is("hello").has("Content-Type", "text/plain").has("X-Amz-Meta-Color", "red")
	c.put("/other/copy", "", "X-Amz-Copy-Source", "box/a%20b", "X-Amz-Metadata-Directive", "REPLACE", "X-Amz-Meta-Size", "big").expect(200)
	c.get("/other/copy").is("hello").has("Content-Type", "binary/octet-stream").has("X-Amz-Meta-Color", "").has("X-Amz-Meta-Size", "big")
	c.put("/box/a%20b", "", "X-Amz-Copy-Source", "/box/a%20b").fails(400, "InvalidRequest")
	c.put("/box/a%20b", "", "X-Amz-Copy-Source", "/box/a%20b", "X-Amz-Metadata-Directive", "REPLACE", "X-Amz-Meta-New", "1").expect(200)
	c.get("/box/a%20b").is("hello").has("X-Amz-Meta-New", "1").has("X-Amz-Meta-Color", "")
	c.put("/other/x", "", "X-Amz-Copy-Source", "/box/none").fails(404, "NoSuchKey")
	c.put("/other/x", "", "X-Amz-Copy-Source", "/none/none").fails(404, "NoSuchBucket")
	c.put("/other/x", "", "X-Amz-Copy-Source", "nonsense").fails(400, "InvalidArgument")
	c.put("/other/x", "", "X-Amz-Copy-Source", "/box/a%20b?x=1").fails(400, "InvalidArgument")
	c.put("/other/x", "", "X-Amz-Copy-Source", "/box/a%20b", "X-Amz-Metadata-Directive", "MOVE").fails(400, "InvalidArgument")
	c.put("/other/x", "", "X-Amz-Copy-Source", "/box/a%20b", "X-Amz-Copy-Source-If-Match", `"other"`).fails(412, "PreconditionFailed")
	c.put("/other/x", "", "X-Amz-Copy-Source", "/box/a%20b", "X-Amz-Copy-Source-If-None-Match", etag("hello")).fails(412, "PreconditionFailed")
	c.put("/other/x", "", "X-Amz-Copy-Source", "/box/a%20b", "X-Amz-Copy-Source-If-Match", etag("hello")).expect(200)
	c.put("/other/x", "", "X-Amz-Copy-Source", "/box/a%20b", "If-None-Match", "*").fails(412, "PreconditionFailed")
	c.put("/box?versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>").expect(200)
	version := c.put("/box/a%20b", "newer").expect(200).header.Get("X-Amz-Version-Id")
	c.put("/other/old", "", "X-Amz-Copy-Source", "/box/a%20b?versionId=null").expect(200).has("X-Amz-Copy-Source-Version-Id", "null")
	c.get("/other/old").is("hello")
	c.put("/box/a%20b", "", "X-Amz-Copy-Source", "/box/a%20b?versionId=null").expect(200)
	c.get("/box/a%20b").is("hello")
	c.get("/box/a%20b?versionId=" + version).is("newer")
	c.put("/other/sum", "", "X-Amz-Copy-Source", "/box/a%20b", "X-Amz-Checksum-Algorithm", "CRC32").expect(200).lists("ChecksumCRC32", "NhCmhg==")
	c.do("HEAD", "/other/sum", "", "X-Amz-Checksum-Mode", "ENABLED").has("X-Amz-Checksum-Crc32", "NhCmhg==")
}
