package document

import "encoding/xml"

// Owner is who a thing belongs to.
type Owner struct {
	ID          string
	DisplayName string
}

// Buckets lists an account.
type Buckets struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListAllMyBucketsResult"`
	Owner   Owner
	Buckets []Bucket `xml:"Buckets>Bucket"`
	Prefix  string   `xml:",omitempty"`
	Token   string   `xml:"ContinuationToken,omitempty"`
}

// Bucket is one of them.
type Bucket struct {
	Name         string
	CreationDate string
}

// Location says where a bucket is; empty means us-east-1.
type Location struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ LocationConstraint"`
	Place   string   `xml:",chardata"`
}

// Logging is the answer of a bucket that is not logged.
type Logging struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ BucketLoggingStatus"`
}

// Tagging is the answer of what has no tags.
type Tagging struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ Tagging"`
	TagSet  struct{}
}

// VersioningStatus tells whether a bucket keeps versions.
type VersioningStatus struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ VersioningConfiguration"`
	Status  string   `xml:",omitempty"`
}

// Prefix stands for the names that share it.
type Prefix struct{ Prefix string }

// Objects lists a bucket, in the first or the second version of the call: members
// that are nil are of the other one.
type Objects struct {
	XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name                  string
	Prefix                string
	Marker                *string
	NextMarker            string  `xml:",omitempty"`
	NextContinuationToken string  `xml:",omitempty"`
	ContinuationToken     *string `xml:",omitempty"`
	StartAfter            string  `xml:",omitempty"`
	KeyCount              *int
	MaxKeys               int
	Delimiter             string `xml:",omitempty"`
	EncodingType          string `xml:",omitempty"`
	IsTruncated           bool
	Contents              []Object
	CommonPrefixes        []Prefix
}

// Object is an entry of a list.
type Object struct {
	Key          string
	LastModified string
	ETag         string
	ChecksumType string   `xml:",omitempty"`
	Checksums    []string `xml:"ChecksumAlgorithm,omitempty"`
	Size         int64
	Owner        *Owner
	StorageClass string
}

// Versions lists a bucket with all versions.
type Versions struct {
	XMLName             xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListVersionsResult"`
	Name                string
	Prefix              string
	KeyMarker           string
	VersionIDMarker     string `xml:"VersionIdMarker"`
	NextKeyMarker       string `xml:",omitempty"`
	NextVersionIDMarker string `xml:"NextVersionIdMarker,omitempty"`
	MaxKeys             int
	Delimiter           string `xml:",omitempty"`
	EncodingType        string `xml:",omitempty"`
	IsTruncated         bool
	Entries             []Version
	CommonPrefixes      []Prefix
}

// Version is a version of an object or a delete marker.
type Version struct {
	Marker       bool `xml:"-"`
	Key          string
	VersionID    string `xml:"VersionId"`
	IsLatest     bool
	LastModified string
	ETag         string `xml:",omitempty"`
	Size         *int64
	Owner        Owner
	StorageClass string `xml:",omitempty"`
}

// MarshalXML names the element.
func (v Version) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	type members Version
	if start.Name.Local = "Version"; v.Marker {
		start.Name.Local = "DeleteMarker"
	}
	return e.EncodeElement(members(v), start)
}

// AccessList is the access list of a bucket or an object.
type AccessList struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ AccessControlPolicy"`
	Owner   Owner
	Grants  []Grant `xml:"AccessControlList>Grant"`
}

// Grant is one entry of it.
type Grant struct {
	Grantee    Grantee
	Permission string
}

// Grantee is who a grant is for.
type Grantee struct {
	Space       string `xml:"xmlns:xsi,attr"`
	Type        string `xml:"xsi:type,attr"`
	ID          string `xml:",omitempty"`
	DisplayName string `xml:",omitempty"`
	URI         string `xml:",omitempty"`
}

// Deleted tells what a call that deletes many objects did.
type Deleted struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ DeleteResult"`
	Deleted []DeletedObject
	Errors  []DeleteError `xml:"Error"`
}

// DeletedObject is one that is gone.
type DeletedObject struct {
	Key             string
	VersionID       string `xml:"VersionId,omitempty"`
	DeleteMarker    bool   `xml:",omitempty"`
	MarkerVersionID string `xml:"DeleteMarkerVersionId,omitempty"`
}

// DeleteError is one that is not.
type DeleteError struct {
	Key       string
	VersionID string `xml:"VersionId,omitempty"`
	Code      string
	Message   string
}

// Checksums are the additional checksums in an answer, one of them at most.
type Checksums struct {
	CRC32     string `xml:"ChecksumCRC32,omitempty"`
	CRC32C    string `xml:"ChecksumCRC32C,omitempty"`
	CRC64NVME string `xml:"ChecksumCRC64NVME,omitempty"`
	SHA1      string `xml:"ChecksumSHA1,omitempty"`
	SHA256    string `xml:"ChecksumSHA256,omitempty"`
}

// SetChecksum puts a checksum where its algorithm has it.
func (c *Checksums) SetChecksum(algorithm, value string) {
	switch algorithm {
	case "CRC32":
		c.CRC32 = value
	case "CRC32C":
		c.CRC32C = value
	case "CRC64NVME":
		c.CRC64NVME = value
	case "SHA1":
		c.SHA1 = value
	case "SHA256":
		c.SHA256 = value
	}
}

// Copied is the answer of a copy; XMLName says of what.
type Copied struct {
	XMLName      xml.Name
	LastModified string
	ETag         string
	Checksums
}

// UploadBegun gives the id of an upload in parts.
type UploadBegun struct {
	XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ InitiateMultipartUploadResult"`
	Bucket   string
	Key      string
	UploadID string `xml:"UploadId"`
}

// UploadDone is the answer of an upload that was completed.
type UploadDone struct {
	XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CompleteMultipartUploadResult"`
	Location     string
	Bucket       string
	Key          string
	ETag         string
	ChecksumType string `xml:",omitempty"`
	Checksums
}

// Uploads lists the uploads of a bucket that go on.
type Uploads struct {
	XMLName            xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListMultipartUploadsResult"`
	Bucket             string
	KeyMarker          string
	UploadIDMarker     string `xml:"UploadIdMarker"`
	NextKeyMarker      string
	NextUploadIDMarker string `xml:"NextUploadIdMarker"`
	Delimiter          string `xml:",omitempty"`
	Prefix             string
	MaxUploads         int
	EncodingType       string `xml:",omitempty"`
	IsTruncated        bool
	Uploads            []Upload `xml:"Upload"`
	CommonPrefixes     []Prefix
}

// Upload is one of them.
type Upload struct {
	Key               string
	UploadID          string `xml:"UploadId"`
	Initiator         Owner
	Owner             Owner
	StorageClass      string
	Initiated         string
	ChecksumAlgorithm string `xml:",omitempty"`
	ChecksumType      string `xml:",omitempty"`
}

// Parts lists the parts of an upload.
type Parts struct {
	XMLName              xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListPartsResult"`
	Bucket               string
	Key                  string
	UploadID             string `xml:"UploadId"`
	Initiator            Owner
	Owner                Owner
	StorageClass         string
	PartNumberMarker     int
	NextPartNumberMarker int
	MaxParts             int
	EncodingType         string `xml:",omitempty"`
	IsTruncated          bool
	ChecksumAlgorithm    string `xml:",omitempty"`
	ChecksumType         string `xml:",omitempty"`
	Parts                []Part `xml:"Part"`
}

// Part is one of them.
type Part struct {
	PartNumber   int
	LastModified string
	ETag         string
	Size         int64
	Checksums
}

// Posted is the answer of a browser's upload that asked for one.
type Posted struct {
	XMLName  xml.Name `xml:"PostResponse"`
	Location string
	Bucket   string
	Key      string
	ETag     string
}
