package hostile

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/mekcloud/mek/internal/rest"
	"github.com/mekcloud/mek/internal/testcloud/world"
)

var subresources = []string{"acl", "location", "logging", "tagging", "versioning", "object-lock", "uploads", "versions", "list-type=2", "delete", "uploadId=x", "partNumber=1", "policy",
	"cors", "lifecycle", "versionId=null", "prefix=a", "delimiter=%2F", "max-keys=1", "encoding-type=url", "continuation-token=x", "start-after=x", "fetch-owner=true", "part-number-marker=0",
	"X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Expires=5", "response-content-type=text%2Fhtml", "attributes", "notification", "website", "accelerate", "restore", "select"}

var xmls = []string{"", "<a/>", "<Delete><Object><Key>thing</Key></Object></Delete>", "<Delete></Delete>", "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>",
	"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>", "<CreateBucketConfiguration><LocationConstraint>x</LocationConstraint></CreateBucketConfiguration>",
	`<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`, "<a><b></a>", "<AccessControlPolicy></AccessControlPolicy>", "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"}

// objectAttack is a request for the object store's own port, as S3 has them.
func (d *dice) objectAttack() world.Question {
	q := world.Question{Method: pick(d, "GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH", "COPY"), Header: http.Header{}}
	q.Path = pick(d, "/", "/bucket", "/bucket/thing", "/bucket/thing", "/box", "/more", "/bucket/more", "/"+url.PathEscape(d.nasty()), "/bucket/"+url.PathEscape(d.nasty()))
	var query []string
	for range pick(d, 0, 0, 1, 1, 2, 3) {
		one := pick(d, subresources...)
		if d.chance(30) {
			name, _, _ := strings.Cut(one, "=")
			one = name + "=" + url.QueryEscape(d.nasty())
		}
		query = append(query, one)
	}
	if len(query) > 0 {
		q.Path += "?" + strings.Join(query, "&")
	}
	if q.Method != "GET" && q.Method != "HEAD" {
		q.Body = []byte(pick(d, pick(d, xmls...), d.nasty(), strings.Repeat("<a>", pick(d, 10, 5000))))
	}
	for range pick(d, 0, 0, 1, 2) {
		q.Header.Set(pick(d, "X-Amz-Acl", "X-Amz-Copy-Source", "X-Amz-Copy-Source-Range", "X-Amz-Meta-A", "X-Amz-Tagging", "X-Amz-Decoded-Content-Length", "Content-MD5", "Range", "If-Match",
			"X-Amz-Checksum-Crc32", "X-Amz-Storage-Class", "X-Amz-Grant-Read", "X-Amz-Sdk-Checksum-Algorithm", "X-Amz-Trailer", "Content-Type", "X-Amz-Metadata-Directive"),
			pick(d, d.header(), "private", "public-read", "/bucket/thing", "bucket%2Fthing", "bytes=0-1", "bytes=9-", "1", "*", "COPY"))
	}
	return q
}

// object sends such a request, and says what is wrong with the answer.
func (r *run) object(d *dice, number uint64) {
	a := attack{q: d.objectAttack(), who: r.w.People.Named(pick(d, "project admin", "project member", "project reader", guest, "anonymous"))}
	answer := r.guarded(a, &rest.Trace{}, number, func() *httptest.ResponseRecorder { return r.w.AskObjects(a.who, a.q) })
	if answer == nil {
		return
	}
	r.count(answer.Code)
	what, body := "", answer.Body.Bytes()
	switch {
	case answer.Code >= 500 && answer.Code != http.StatusNotImplemented:
		what = fmt.Sprintf("status %d", answer.Code)
	case answer.Code >= 400 && inside.Match(body) && !inside.Match(a.q.Body) && !inside.MatchString(a.q.Path):
		what = "tells what is inside: " + string(inside.Find(body))
	case answer.Code >= 400 && a.q.Method != http.MethodHead && xml.Unmarshal(body, &struct {
		Code string `xml:"Code"`
	}{}) != nil && !strings.HasPrefix(a.q.Path, "/v1"):
		what = fmt.Sprintf("status %d without an error in the body", answer.Code)
	}
	if what != "" {
		r.note("object store: "+what, number, a, &rest.Trace{}, answer)
	}
}
