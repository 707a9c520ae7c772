package s3

import (
	"net/http"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
)

// level is what an address names.
type level uint8

const (
	ofService level = iota
	ofBucket
	ofObject
)

var levelPaths = [...]string{ofService: "/", ofBucket: "/{bucket}", ofObject: "/{bucket}/{key}"}

// operation is one call of the API. The first in order whose method, level and
// parameters fit is taken; empty parameters fit always.
type operation struct {
	name   string
	method string
	level  level
	params string // names of parameters that must be there, by blanks
	header string // that must be there
	audit  string // verb of the audit record, of changes
	kind   string // of the resource, as errors name it
	run    func(*call) (*reply, error)
}

// operations are the calls of the published tables and, without a name in them,
// those that exist to be refused.
func operations() []operation {
	const get, put, post, del, head = http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodHead
	return []operation{
		{"ListBuckets", get, ofService, "", "", "", "SERVICE", (*call).listBuckets},

		{"GetBucketAcl", get, ofBucket, "acl", "", "", "ACL", (*call).getACL},
		{"PutBucketAcl", put, ofBucket, "acl", "", "update", "ACL", (*call).putBucketACL},
		{"DeleteObjects", post, ofBucket, "delete", "", "delete", "MULTI_OBJECT_DELETE", (*call).deleteObjects},
		{"GetBucketLocation", get, ofBucket, "location", "", "", "LOCATION", (*call).location},
		{"GetBucketLogging", get, ofBucket, "logging", "", "", "LOGGING_STATUS", (*call).logging},
		{"ListMultipartUploads", get, ofBucket, "uploads", "", "", "UPLOADS", (*call).listUploads},
		{"GetBucketVersioning", get, ofBucket, "versioning", "", "", "VERSIONING", (*call).getVersioning},
		{"PutBucketVersioning", put, ofBucket, "versioning", "", "update", "VERSIONING", (*call).putVersioning},
		{"GetBucketTagging", get, ofBucket, "tagging", "", "", "TAGGING", (*call).tagging},
		{"GetObjectLockConfiguration", get, ofBucket, "object-lock", "", "", "OBJECT_LOCK", (*call).objectLock},
		{"ListObjectVersions", get, ofBucket, "versions", "", "", "BUCKET", (*call).listVersions},
		{"ListObjectsV2", get, ofBucket, "list-type", "", "", "BUCKET", (*call).listObjects},
		{"ListObjects", get, ofBucket, "", "", "", "BUCKET", (*call).listObjects},
		{"CreateBucket", put, ofBucket, "", "", "create", "BUCKET", (*call).createBucket},
		{"HeadBucket", head, ofBucket, "", "", "", "BUCKET", (*call).headBucket},
		{"DeleteBucket", del, ofBucket, "", "", "delete", "BUCKET", (*call).deleteBucket},
		{"PostObject", post, ofBucket, "", "", "create", "BUCKET", (*call).postObject},

		{"GetObjectAcl", get, ofObject, "acl", "", "", "ACL", (*call).getACL},
		{"PutObjectAcl", put, ofObject, "acl", "", "update", "ACL", (*call).putObjectACL},
		{"GetObjectTagging", get, ofObject, "tagging", "", "", "TAGGING", (*call).tagging},
		{"UploadPartCopy", put, ofObject, "partNumber", "X-Amz-Copy-Source", "create", "PART", (*call).uploadPartCopy},
		{"UploadPart", put, ofObject, "partNumber", "", "create", "PART", (*call).uploadPart},
		{"ListParts", get, ofObject, "uploadId", "", "", "UPLOAD", (*call).listParts},
		{"CompleteMultipartUpload", post, ofObject, "uploadId", "", "create", "UPLOAD", (*call).completeUpload},
		{"AbortMultipartUpload", del, ofObject, "uploadId", "", "delete", "UPLOAD", (*call).abortUpload},
		{"CreateMultipartUpload", post, ofObject, "uploads", "", "create", "UPLOADS", (*call).createUpload},
		{"CopyObject", put, ofObject, "", "X-Amz-Copy-Source", "create", "OBJECT", (*call).copyObject},
		{"PutObject", put, ofObject, "", "", "create", "OBJECT", (*call).putObject},
		{"GetObject", get, ofObject, "", "", "", "OBJECT", (*call).getObject},
		{"HeadObject", head, ofObject, "", "", "", "OBJECT", (*call).getObject},
		{"DeleteObject", del, ofObject, "", "", "delete", "OBJECT", (*call).deleteObject},
	}
}

// subresources are the parameters that name something else than the bucket or
// the object itself, in the order in which Swift looks at them.
var subresources = []string{"acl", "delete", "location", "logging", "partNumber", "uploadId", "uploads", "versioning", "tagging", "object-lock"}

// absent are subresources that Swift's S3 interface does not have either.
var absent = []string{"accelerate", "analytics", "attributes", "cors", "encryption", "intelligent-tiering", "inventory", "legal-hold", "lifecycle",
	"metadataTable", "metrics", "notification", "ownershipControls", "policy", "policyStatus", "publicAccessBlock", "replication", "requestPayment",
	"restore", "retention", "select", "session", "torrent", "website"}

// Routes lists the operations, "swift-s3 METHOD PATH NAME".
func Routes() []string {
	var out []string
	for _, o := range operations() {
		out = append(out, "swift-s3 "+o.method+" "+levelPaths[o.level]+" "+o.name)
	}
	return out
}

// choose finds the operation of a request.
func (c *call) choose() error {
	at := ofObject
	switch {
	case c.bucket == "":
		at = ofService
	case c.key == "":
		at = ofBucket
	}
	for _, name := range absent {
		if c.query.has(name) {
			return failure.New(failure.NotImplemented)
		}
	}
	sub := ""
	for _, name := range subresources {
		// A part's number without an upload is of reading an object.
		if c.query.has(name) && !(name == "partNumber" && c.Method != http.MethodPut) {
			sub = name
			break
		}
	}
	kind := "OBJECT"
	for i := range c.s.operations {
		o := &c.s.operations[i]
		if o.level != at {
			continue
		}
		needs := strings.Fields(o.params)
		if sub != "" && !slices.Contains(needs, sub) && at != ofService {
			continue
		}
		kind = o.kind
		if o.method == c.Method && !slices.ContainsFunc(needs, func(p string) bool { return !c.query.has(p) }) && (o.header == "" || c.Header.Get(o.header) != "") {
			c.op = o
			return nil
		}
	}
	return c.noSuchOperation(at, sub, kind)
}

// noSuchOperation says why there is nothing for this method and address.
func (c *call) noSuchOperation(at level, sub, kind string) error {
	switch {
	case at == ofObject && sub == "logging":
		return failure.New(failure.NoLoggingStatusForKey)
	case at == ofObject && sub == "uploads" && c.Method == http.MethodGet:
		return failure.Newf(failure.InvalidRequest, "Key is not expected for the GET method ?uploads subresource")
	case sub == "tagging" || sub == "logging" || sub == "object-lock":
		if c.Method == http.MethodPut || c.Method == http.MethodDelete && sub == "tagging" {
			return failure.Newf(failure.NotImplemented, "The requested resource is not implemented")
		}
	case at != ofService && sub == "" && c.Method == http.MethodPost:
		return failure.New(failure.NotImplemented)
	case at == ofObject && sub != "" && sub != "acl" || at == ofBucket && (sub == "uploadId" || sub == "partNumber"):
		return failure.New(failure.InvalidRequest)
	}
	return failure.New(failure.MethodNotAllowed).With("Method", c.Method).With("ResourceType", kind)
}

// refusals are headers that ask for what Swift's S3 interface does not offer:
// to leave one out would be to promise what is not kept.
var refusals = []struct{ header, text string }{
	{"X-Amz-Mfa", "MFA Delete is not supported."},
	{"X-Amz-Website-Redirect-Location", "Website redirection is not supported."},
	{"X-Amz-Tagging", "Object tagging is not supported."},
	{"X-Amz-Server-Side-Encryption-Customer-Algorithm", "Server-side encryption is not supported."},
	{"X-Amz-Copy-Source-Server-Side-Encryption-Customer-Algorithm", "Server-side encryption is not supported."},
	{"X-Amz-Object-Lock-Mode", "Object Lock is not supported."},
	{"X-Amz-Object-Lock-Legal-Hold", "Object Lock is not supported."},
	{"X-Amz-Write-Offset-Bytes", "Appending is not supported."},
}

// unsupported refuses what headers ask for and is not there.
func (c *call) unsupported() error {
	for _, r := range refusals {
		if c.Header.Get(r.header) != "" {
			return failure.Newf(failure.NotImplemented, "%s", r.text)
		}
	}
	if strings.EqualFold(c.Header.Get("X-Amz-Bucket-Object-Lock-Enabled"), "true") {
		return failure.Newf(failure.NotImplemented, "Object Lock is not supported.")
	}
	if v := c.Header.Get("X-Amz-Storage-Class"); v != "" && v != "STANDARD" {
		return failure.New(failure.InvalidStorageClass)
	}
	if v := c.Header.Get("X-Amz-Metadata-Directive"); v != "" && v != "COPY" && v != "REPLACE" {
		return argument("x-amz-metadata-directive", v, "Unknown metadata directive.")
	}
	switch v := c.Header.Get("X-Amz-Server-Side-Encryption"); v {
	case "":
	case "AES256", "aws:kms", "aws:kms:dsse":
		return failure.Newf(failure.NotImplemented, "Server-side encryption is not supported.")
	default:
		return argument("x-amz-server-side-encryption", v, "The encryption method specified is not supported")
	}
	return nil
}
