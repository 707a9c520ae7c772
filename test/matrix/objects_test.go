package matrix

import (
	"encoding/xml"
	"fmt"
	"hash/fnv"
	"net/http"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/rest"
	"github.com/mekcloud/mek/internal/testcloud/world"
)

// Object storage keeps its truth outside the database: its requests are real,
// and what an allowed one changed is put back before the next.

// container and bucket are what the requests are about.
const (
	container = "/v1/AUTH_%s/box"
	bucket    = "/v1/AUTH_%s/bucket"
)

func swiftRows(w *world.World) []*row {
	var rows []*row
	for _, op := range w.Operations() {
		if op.Service.Name != "swift" {
			continue
		}
		q, _ := w.Question(op, nil)
		q.Header = http.Header{}
		switch op.Route.Method {
		case "COPY":
			q.Header.Set("Destination", "box/copy")
		case "PUT", "POST":
			q.Header.Set("Content-Type", "text/plain")
			q.Body = []byte("hello")
		}
		r := &row{line: op.Line, rule: op.Rule()}
		r.ask = func(p *world.Person, _ bool) byte {
			trace := &rest.Trace{}
			answer := w.Ask(p, q, trace, false)
			restoreObjects(w, op.Mutates() && answer.Code < 300)
			return letter(answer.Code, trace, op)
		}
		rows = append(rows, r)
	}
	return rows
}

// restoreObjects makes the containers and objects again, if need be.
func restoreObjects(w *world.World, changed bool) {
	if !changed {
		return
	}
	admin := w.People.Named("project admin")
	for _, path := range []string{container, bucket} {
		at := fmt.Sprintf(path, w.Project)
		w.Ask(admin, world.Question{Method: "PUT", Path: at}, nil, false)
		w.Ask(admin, world.Question{Method: "DELETE", Path: at + "/copy"}, nil, false)
		w.Ask(admin, world.Question{Method: "PUT", Path: at + "/thing", Body: []byte("hello"), Header: http.Header{"Content-Type": {"text/plain"}}}, nil, false)
	}
}

// requestsOfS3 are the operations of S3: method, address, body. $upload is a fresh upload.
const requestsOfS3 = `
GET / ListBuckets  /
DELETE /{bucket} DeleteBucket  /bucket
GET /{bucket} GetBucketAcl  /bucket?acl
GET /{bucket} GetBucketLocation  /bucket?location
GET /{bucket} GetBucketLogging  /bucket?logging
GET /{bucket} GetBucketTagging  /bucket?tagging
GET /{bucket} GetBucketVersioning  /bucket?versioning
GET /{bucket} GetObjectLockConfiguration  /bucket?object-lock
GET /{bucket} ListMultipartUploads  /bucket?uploads
GET /{bucket} ListObjectVersions  /bucket?versions
GET /{bucket} ListObjects  /bucket
GET /{bucket} ListObjectsV2  /bucket?list-type=2
HEAD /{bucket} HeadBucket  /bucket
POST /{bucket} DeleteObjects  /bucket?delete  <Delete><Object><Key>thing</Key></Object></Delete>
PUT /{bucket} CreateBucket  /fresh
PUT /{bucket} PutBucketAcl  /bucket?acl
PUT /{bucket} PutBucketVersioning  /bucket?versioning  <VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Suspended</Status></VersioningConfiguration>
DELETE /{bucket}/{key} AbortMultipartUpload  /bucket/big?uploadId=$upload
DELETE /{bucket}/{key} DeleteObject  /bucket/thing
GET /{bucket}/{key} GetObject  /bucket/thing
GET /{bucket}/{key} GetObjectAcl  /bucket/thing?acl
GET /{bucket}/{key} GetObjectTagging  /bucket/thing?tagging
GET /{bucket}/{key} ListParts  /bucket/big?uploadId=$upload
HEAD /{bucket}/{key} HeadObject  /bucket/thing
POST /{bucket}/{key} CompleteMultipartUpload  /bucket/big?uploadId=$upload  <CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>
POST /{bucket}/{key} CreateMultipartUpload  /bucket/big?uploads
PUT /{bucket}/{key} CopyObject  /bucket/copy
PUT /{bucket}/{key} PutObject  /bucket/more  hello
PUT /{bucket}/{key} PutObjectAcl  /bucket/thing?acl
PUT /{bucket}/{key} UploadPart  /bucket/big?partNumber=1&uploadId=$upload  hello
PUT /{bucket}/{key} UploadPartCopy  /bucket/big?partNumber=1&uploadId=$upload
`

func s3Rows(w *world.World) []*row {
	var rows []*row
	for line := range strings.Lines(requestsOfS3) {
		cells := strings.SplitN(strings.TrimSpace(line), "  ", 3)
		if len(cells) < 2 {
			continue
		}
		r := &row{line: "swift-s3 " + cells[0], prepares: strings.Contains(cells[1], "$upload")}
		r.ask = func(p *world.Person, _ bool) byte {
			if p.Access == "" && p.Name != "anonymous" {
				return keyless
			}
			return askS3(w, p, cells)
		}
		rows = append(rows, r)
	}
	return rows
}

func askS3(w *world.World, p *world.Person, cells []string) byte {
	method, name := strings.Fields(cells[0])[0], strings.Fields(cells[0])[2]
	q := world.Question{Method: method, Path: cells[1], Header: http.Header{}}
	if strings.Contains(q.Path, "$upload") {
		q.Path = strings.Replace(q.Path, "$upload", upload(w), 1)
	}
	if len(cells) > 2 {
		q.Body = []byte(cells[2])
	}
	if strings.HasSuffix(name, "Acl") && method == http.MethodPut {
		q.Header.Set("X-Amz-Acl", "private")
	}
	if name == "CopyObject" || name == "UploadPartCopy" {
		q.Header.Set("X-Amz-Copy-Source", "/bucket/thing")
	}
	answer := w.AskObjects(p, q)
	restoreObjects(w, answer.Code < 300 && method != http.MethodGet && method != http.MethodHead)
	switch answer.Code {
	case http.StatusForbidden:
		return forbidden
	case http.StatusUnauthorized:
		return nameless
	case http.StatusNotFound:
		var failure struct{ Code string }
		if xml.Unmarshal(answer.Body.Bytes(), &failure) == nil && failure.Code != "NoSuchBucket" && failure.Code != "NoSuchKey" {
			return allowed // it looked, and there is no such configuration
		}
		return absent
	}
	return allowed
}

// upload begins a multipart upload as the project's administrator.
func upload(w *world.World) string {
	answer := w.AskObjects(w.People.Named("project admin"), world.Question{Method: "POST", Path: "/bucket/big?uploads", Header: http.Header{}})
	var made struct{ UploadId string } //nolint // the name on the wire
	if err := xml.Unmarshal(answer.Body.Bytes(), &made); err != nil {
		return "none"
	}
	return made.UploadId
}

// digestObjects is a number for what the containers hold and allow.
func digestObjects(w *world.World) uint64 {
	admin, h := w.People.Named("project admin"), fnv.New64a()
	for _, path := range []string{"/v1/AUTH_" + w.Project + "?format=json", fmt.Sprintf(container, w.Project) + "?format=json", fmt.Sprintf(bucket, w.Project) + "?format=json",
		fmt.Sprintf(container, w.Project) + "/thing", fmt.Sprintf(bucket, w.Project) + "/thing"} {
		answer := w.Ask(admin, world.Question{Method: "GET", Path: path}, nil, false)
		_, _ = h.Write(answer.Body.Bytes()) // never fails
		for _, name := range []string{"X-Container-Read", "X-Container-Write", "X-Versions-Enabled", "X-Object-Meta-A", "Content-Type", "Etag", "Last-Modified"} {
			fmt.Fprint(h, answer.Header().Get(name))
		}
	}
	return h.Sum64()
}

// refuseObjects repeats what object storage refused: it must leave it as it is.
func refuseObjects(t *testing.T, w *world.World, rows []*row) {
	t.Helper()
	for _, r := range rows {
		before := digestObjects(w)
		for i, p := range w.People {
			if !refused(r.letters[i]) {
				continue
			}
			if got := r.ask(p, false); got != r.letters[i] {
				t.Errorf("%s as %s: %c, and %c before", r.line, p.Name, got, r.letters[i])
			}
		}
		if digestObjects(w) != before && !r.prepares {
			t.Errorf("refused requests changed what is stored: %s", r.line)
		}
	}
}
