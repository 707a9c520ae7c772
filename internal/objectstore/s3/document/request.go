package document

// CreateBucket says where a bucket is to be.
type CreateBucket struct {
	Location string `xml:"LocationConstraint"`
}

// Versioning says whether a bucket keeps versions. Status is Enabled, Suspended
// or empty.
type Versioning struct {
	Status    string
	MFADelete string `xml:"MfaDelete"`
}

// Delete names many objects.
type Delete struct {
	Quiet   bool
	Objects []Identifier `xml:"Object"`
}

// Identifier names an object, or a version of it.
type Identifier struct {
	Key       string
	VersionID *string `xml:"VersionId"`
	ETag      *string
}

// CompleteUpload names the parts that become an object.
type CompleteUpload struct {
	Parts []CompletedPart `xml:"Part"`
}

// CompletedPart is a part as its uploader saw it.
type CompletedPart struct {
	PartNumber int
	ETag       string
	CRC32      string `xml:"ChecksumCRC32"`
	CRC32C     string `xml:"ChecksumCRC32C"`
	CRC64NVME  string `xml:"ChecksumCRC64NVME"`
	SHA1       string `xml:"ChecksumSHA1"`
	SHA256     string `xml:"ChecksumSHA256"`
}

// Checksum is the part's sum by the name of its algorithm, empty when there is none.
func (p CompletedPart) Checksum(algorithm string) string {
	switch algorithm {
	case "CRC32":
		return p.CRC32
	case "CRC32C":
		return p.CRC32C
	case "CRC64NVME":
		return p.CRC64NVME
	case "SHA1":
		return p.SHA1
	case "SHA256":
		return p.SHA256
	}
	return ""
}

// AccessPolicy is an access list as clients send it.
type AccessPolicy struct {
	Owner  Owner
	Grants []SentGrant `xml:"AccessControlList>Grant"`
}

// SentGrant is one entry of an access list as clients send it.
type SentGrant struct {
	Grantee    SentGrantee
	Permission string
}

// SentGrantee is who a grant is for; Type is of the XML Schema instance namespace.
type SentGrantee struct {
	Type  string `xml:"http://www.w3.org/2001/XMLSchema-instance type,attr"`
	ID    string
	URI   string
	Email string `xml:"EmailAddress"`
}
