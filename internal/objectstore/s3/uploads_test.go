package s3_test

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/objectstore/s3/checksum"
	"github.com/mekcloud/mek/internal/testcloud"
)

const mib = 1 << 20

// complete makes the document that names parts by number and text.
func complete(parts ...any) string {
	var b strings.Builder
	b.WriteString("<CompleteMultipartUpload>")
	for i := 0; i+1 < len(parts); i += 2 {
		fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", parts[i], parts[i+1])
	}
	b.WriteString("</CompleteMultipartUpload>")
	return b.String()
}

func TestUpload(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	c := newClient(t, cloud, cloud.Demo)
	c.put("/box", "").expect(200)
	c.do("POST", "/none/k?uploads", "").fails(404, "NoSuchBucket")
	a := c.do("POST", "/box/big/k%20y?uploads", "", "Content-Type", "video/x", "X-Amz-Meta-Color", "red").expect(200).lists("Bucket", "box").lists("Key", "big/k y")
	id := a.text("UploadId")
	at := "/box/big/k%20y?uploadId=" + id
	one, two, spare := strings.Repeat("a", 5*mib), strings.Repeat("b", 5*mib+1), "never chosen"
	c.put(at+"&partNumber=2", two).expect(200).has("ETag", etag(two))
	c.put(at+"&partNumber=1", "first try").expect(200)
	c.put(at+"&partNumber=1", one).expect(200).has("ETag", etag(one))
	c.put(at+"&partNumber=9", "tail").expect(200)
	c.put(at+"&partNumber=10", spare).expect(200)
	c.put(at+"&partNumber=0", "x").fails(400, "InvalidArgument")
	c.put(at+"&partNumber=10001", "x").fails(400, "InvalidArgument")
	c.put("/box/big/k%20y?partNumber=1", "x").fails(400, "InvalidArgument")
	c.put("/box/big/k%20y?uploadId="+strings.Repeat("0", 32)+"&partNumber=1", "x").fails(404, "NoSuchUpload")
	c.get("/box").lists("Key")
	c.get("/").lists("Name", "box")

	c.get(at).expect(200).lists("PartNumber", "1", "2", "9", "10").lists("Size", strconv.Itoa(len(one)), strconv.Itoa(len(two)), "4", "12").lists("IsTruncated", "false")
	c.get(at+"&max-parts=1&part-number-marker=1").lists("PartNumber", "2").lists("NextPartNumberMarker", "2").lists("IsTruncated", "true")
	c.get("/box?uploads").expect(200).lists("UploadId", id).lists("Key", "big/k y")
	c.get("/box/k?uploads").fails(400, "InvalidRequest")

	c.do("POST", at, "").fails(400, "InvalidRequest")
	c.do("POST", at, "<CompleteMultipartUpload/>").fails(400, "MalformedXML")
	c.do("POST", at, complete(2, etag(two), 1, etag(one))).fails(400, "InvalidPartOrder")
	c.do("POST", at, complete(1, etag("other"), 2, etag(two))).fails(400, "InvalidPart")
	c.do("POST", at, complete(1, etag(one), 3, etag(two))).fails(400, "InvalidPart")
	c.do("POST", at, complete(9, etag("tail"), 10, etag(spare))).fails(400, "EntityTooSmall")
	chosen := complete(1, etag(one), 2, md5Of(two), 9, etag("tail"))
	done := c.do("POST", at, chosen).expect(200)
	sum := md5.New()
	for _, part := range []string{one, two, "tail"} {
		raw := md5.Sum([]byte(part))
		sum.Write(raw[:])
	}
	want := `"` + hex.EncodeToString(sum.Sum(nil)) + `-3"`
	done.lists("ETag", want).lists("Key", "big/k y").lists("Location", c.url+"/box/big/k%20y")
	c.do("POST", at, chosen).expect(200).lists("ETag", want)
	c.do("POST", at, complete(1, etag(one))).fails(404, "NoSuchUpload")
	c.put(at+"&partNumber=1", "x").fails(404, "NoSuchUpload")
	c.do("DELETE", at, "").fails(404, "NoSuchUpload")

	c.get("/box/big/k%20y").expect(200).is(one+two+"tail").has("ETag", want).has("Content-Type", "video/x").has("X-Amz-Meta-Color", "red")
	c.get("/box/big/k%20y?partNumber=2").expect(206).is(two).has("X-Amz-Mp-Parts-Count", "3")
	c.do("HEAD", "/box/big/k%20y?partNumber=3", "").expect(206).has("Content-Length", "4").has("X-Amz-Mp-Parts-Count", "3")
	c.get("/box/big/k%20y?partNumber=4").fails(416, "InvalidPartNumber")
	c.get("/box/big/k%20y", "Range", fmt.Sprintf("bytes=%d-%d", 5*mib-2, 5*mib+1)).expect(206).is("aabb")
	c.get("/box").lists("ETag", want).lists("Size", strconv.Itoa(10*mib+5))
	c.get("/box?uploads").lists("UploadId")
	account := cloud.Demo.Get("/v1/AUTH_" + cloud.Demo.ProjectID + "/box+segments?format=json")
	if account.Status == 200 && string(account.Body) != "[]" {
		t.Errorf("parts are left: %s", account.Body)
	}
	c.put("/box/copy", "", "X-Amz-Copy-Source", "/box/big/k%20y").expect(200).lists("ETag", want)
	c.get("/box/copy?partNumber=3").expect(206).is("tail")
}

func TestAbortAndListUploads(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	c := newClient(t, cloud, cloud.Demo)
	c.put("/box", "").expect(200)
	c.get("/box?uploads").expect(200).lists("UploadId")
	ids := map[string]string{}
	for _, key := range []string{"a", "a-b", "d/1", "d/2", "e"} {
		ids[key] = c.do("POST", "/box/"+key+"?uploads", "").text("UploadId")
		c.put("/box/"+key+"?partNumber=1&uploadId="+ids[key], key).expect(200)
		c.put("/box/"+key+"?partNumber=2&uploadId="+ids[key], key).expect(200)
	}
	c.get("/box?uploads").lists("Key", "a", "a-b", "d/1", "d/2", "e").lists("IsTruncated", "false")
	c.get("/box?uploads&prefix=d/").lists("Key", "d/1", "d/2")
	c.get("/box?uploads&delimiter=/").lists("Key", "a", "a-b", "e").lists("Prefix", "", "d/")
	page := c.get("/box?uploads&max-uploads=2").lists("Key", "a", "a-b").lists("IsTruncated", "true")
	c.get("/box?uploads&max-uploads=2&key-marker="+page.text("NextKeyMarker")+"&upload-id-marker="+page.text("NextUploadIdMarker")).lists("Key", "d/1", "d/2")
	c.get("/box?uploads&key-marker=d/1").lists("Key", "d/2", "e")
	c.get("/box?uploads&max-uploads=x").fails(400, "InvalidArgument")
	c.do("DELETE", "/box/a?uploadId="+ids["a"], "").expect(204)
	c.do("DELETE", "/box/a?uploadId="+ids["a"], "").fails(404, "NoSuchUpload")
	c.get("/box/a?uploadId="+ids["a"]).fails(404, "NoSuchUpload")
	c.get("/box?uploads").lists("Key", "a-b", "d/1", "d/2", "e")
	c.do("POST", "/box/"+strings.Repeat("k", 1000)+"?uploads", "").fails(400, "KeyTooLongError")
	c.do("DELETE", "/box", "").expect(204)
	c.put("/box", "").expect(200)
	c.get("/box?uploads").lists("Key")
}

func TestUploadPartCopy(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	c := newClient(t, cloud, cloud.Demo)
	c.put("/box", "").expect(200)
	whole := strings.Repeat("0123456789", mib) // 10 MiB
	c.put("/box/source", whole).expect(200)
	id := c.do("POST", "/box/k?uploads", "").text("UploadId")
	at := "/box/k?uploadId=" + id + "&partNumber="
	c.put(at+"1", "", "X-Amz-Copy-Source", "/box/source").expect(200).lists("ETag", etag(whole))
	c.put(at+"2", "", "X-Amz-Copy-Source", "/box/source", "X-Amz-Copy-Source-Range", "bytes=5-9").expect(200).lists("ETag", etag("56789"))
	for _, bad := range []string{"bytes=5-", "bytes=-5", "5-9", "bytes=0-10485760", "bytes=0-1,3-4"} {
		c.put(at+"3", "", "X-Amz-Copy-Source", "/box/source", "X-Amz-Copy-Source-Range", bad).fails(400, "InvalidArgument")
	}
	c.put(at+"3", "", "X-Amz-Copy-Source", "/box/none").fails(404, "NoSuchKey")
	c.put(at+"3", "", "X-Amz-Copy-Source", "/box/source", "X-Amz-Copy-Source-If-Match", `"x"`).fails(412, "PreconditionFailed")
	c.do("POST", "/box/k?uploadId="+id, complete(1, etag(whole), 2, etag("56789"))).expect(200)
	c.get("/box/k").is(whole + "56789")
	c.put("/box/x", "", "X-Amz-Copy-Source", "/box/source", "X-Amz-Copy-Source-Range", "bytes=0-1").fails(400, "InvalidArgument")
}

func crc(text string) string {
	n := crc32.ChecksumIEEE([]byte(text))
	return checksum.Encode([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// What boto3 does since 1.36: CRC32 in headers or trailers, and of uploads by parts.
func TestChecksums(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	c := newClient(t, cloud, cloud.Demo)
	c.put("/box", "").expect(200)
	c.put("/box/k", "hello", "X-Amz-Checksum-Crc32", crc("hello"), "X-Amz-Sdk-Checksum-Algorithm", "CRC32").expect(200).has("X-Amz-Checksum-Crc32", crc("hello"))
	c.get("/box/k").has("X-Amz-Checksum-Crc32", "")
	c.get("/box/k", "X-Amz-Checksum-Mode", "ENABLED").has("X-Amz-Checksum-Crc32", crc("hello")).has("X-Amz-Checksum-Type", "FULL_OBJECT")
	c.put("/box/k", "other", "X-Amz-Checksum-Crc32", crc("hello")).fails(400, "BadDigest")
	c.get("/box/k").is("hello")
	c.put("/box/k", "x", "X-Amz-Checksum-Crc32", "nonsense").fails(400, "InvalidRequest")
	c.put("/box/k", "x", "X-Amz-Checksum-Md5", "AAAA").fails(400, "InvalidRequest")
	c.put("/box/k", "x", "X-Amz-Checksum-Crc32", crc("x"), "X-Amz-Checksum-Crc32c", crc("x")).fails(400, "InvalidRequest")
	c.put("/box/k", "x", "X-Amz-Sdk-Checksum-Algorithm", "CRC32").fails(400, "InvalidRequest")
	c.put("/box/k", "x", "X-Amz-Trailer", "x-amz-checksum-crc32").fails(400, "MalformedTrailerError")
	for name, value := range map[string]string{"Crc32c": "mnG7TA==", "Crc64nvme": "M3eFcAZSQlc=", "Sha1": "qvTGHdzF6KLavt4PO0gs2a6pQ00=", "Sha256": "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="} {
		a := c.put("/box/"+name, "hello", "X-Amz-Checksum-"+name, value)
		if a.status != 200 {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	unsigned := []string{"X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "Content-Encoding", "aws-chunked", "X-Amz-Decoded-Content-Length", "5", "X-Amz-Trailer", "x-amz-checksum-crc32"}
	c.put("/box/t", "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:"+crc("hello")+"\r\n\r\n", unsigned...).expect(200).has("ETag", etag("hello"))
	c.get("/box/t", "X-Amz-Checksum-Mode", "ENABLED").is("hello").has("X-Amz-Checksum-Crc32", crc("hello")).has("Content-Encoding", "")
	c.put("/box/t", "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:"+crc("other")+"\r\n\r\n", unsigned...).fails(400, "BadDigest")
	c.put("/box/t", "5\r\nhello\r\n0\r\n\r\n", unsigned...).fails(400, "MalformedTrailerError")
	c.put("/box/t", "4\r\nhell\r\n0\r\n\r\n", unsigned...).fails(400, "IncompleteBody")
	c.put("/box/t", "5\r\nhello", unsigned...).fails(400, "IncompleteBody")
	c.get("/box/t").is("hello")

	first, last := strings.Repeat("x", 5*mib), "end"
	for kind, want := range map[string]string{"FULL_OBJECT": crc(first + last), "COMPOSITE": ""} {
		a := c.do("POST", "/box/"+kind+"?uploads", "", "X-Amz-Checksum-Algorithm", "CRC32", "X-Amz-Checksum-Type", kind).expect(200).
			has("X-Amz-Checksum-Algorithm", "CRC32").has("X-Amz-Checksum-Type", kind)
		at := "/box/" + kind + "?uploadId=" + a.text("UploadId")
		c.put(at+"&partNumber=1", first, "X-Amz-Checksum-Crc32", crc(first)).expect(200).has("X-Amz-Checksum-Crc32", crc(first))
		c.put(at+"&partNumber=2", last).expect(200).has("X-Amz-Checksum-Crc32", crc(last))
		c.put(at+"&partNumber=2", last, "X-Amz-Checksum-Sha1", "qvTGHdzF6KLavt4PO0gs2a6pQ00=").fails(400, "InvalidRequest")
		c.get(at).lists("ChecksumCRC32", crc(first), crc(last)).lists("ChecksumType", kind)
		parts := complete(1, etag(first), 2, etag(last))
		c.do("POST", at, strings.Replace(parts, "</ETag>", "</ETag><ChecksumCRC32>"+crc("no")+"</ChecksumCRC32>", 1)).fails(400, "InvalidPart")
		c.do("POST", at, parts, "X-Amz-Checksum-Crc32", crc("no")).fails(400, "BadDigest")
		c.do("POST", at, parts, "X-Amz-Mp-Object-Size", "7").fails(400, "InvalidRequest")
		done := c.do("POST", at, strings.Replace(parts, "</ETag>", "</ETag><ChecksumCRC32>"+crc(first)+"</ChecksumCRC32>", 1)).expect(200).lists("ChecksumType", kind)
		if got := done.text("ChecksumCRC32"); want != "" && got != want || want == "" && !strings.HasSuffix(got, "-2") {
			t.Errorf("%s: checksum %q, want %q", kind, got, want)
		}
		c.do("HEAD", "/box/"+kind, "", "X-Amz-Checksum-Mode", "ENABLED").has("X-Amz-Checksum-Type", kind)
	}
	c.do("POST", "/box/n?uploads", "", "X-Amz-Checksum-Algorithm", "SHA256", "X-Amz-Checksum-Type", "FULL_OBJECT").fails(400, "InvalidRequest")
	c.do("POST", "/box/n?uploads", "", "X-Amz-Checksum-Algorithm", "MD4").fails(400, "InvalidRequest")
}

// signedChunks makes a body in signed chunks that continue a request's signature.
func (c *client) signedChunks(seed string, at time.Time, chunks ...string) string {
	key := []byte("AWS4" + c.key.SecretAccessKey)
	sign := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	for _, word := range []string{at.UTC().Format("20060102"), c.region, "s3", "aws4_request"} {
		key = sign(key, word)
	}
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	var b strings.Builder
	for _, chunk := range append(chunks, "") {
		seed = hex.EncodeToString(sign(key, strings.Join([]string{"AWS4-HMAC-SHA256-PAYLOAD", at.UTC().Format("20060102T150405Z"),
			at.UTC().Format("20060102") + "/" + c.region + "/s3/aws4_request", seed, hash(""), hash(chunk)}, "\n")))
		fmt.Fprintf(&b, "%x;chunk-signature=%s\r\n%s\r\n", len(chunk), seed, chunk)
	}
	return b.String()
}

func TestSignedChunks(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	c := newClient(t, cloud, cloud.Demo)
	c.put("/box", "").expect(200)
	large, tail := strings.Repeat("s", 64<<10), "tail"
	send := func(damage func(string) string) *answer {
		c.at = time.Now()
		r := c.request("PUT", "/box/k", nil, "X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "Content-Encoding", "aws-chunked",
			"X-Amz-Decoded-Content-Length", strconv.Itoa(len(large)+len(tail)))
		_, seed, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
		body := damage(c.signedChunks(seed, c.at, large, tail))
		again := c.request("PUT", "/box/k", []byte(body), "X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
		again.Header = r.Header
		return c.send(again)
	}
	send(func(s string) string { return s }).expect(200).has("ETag", etag(large+tail))
	c.at = time.Time{}
	c.get("/box/k").is(large + tail)
	send(func(s string) string { return strings.Replace(s, "tail", "tale", 1) }).fails(403, "SignatureDoesNotMatch")
	send(func(s string) string { return strings.Replace(s, "chunk-signature=", "chunk-signature=0", 1) }).fails(403, "SignatureDoesNotMatch")
	c.at = time.Time{}
	c.get("/box/k").is(large + tail)
}
