package signature

import (
	"time"

	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
)

// ParseForm reads the signature of a browser's upload: it signs the policy, in
// base64 as the form has it. field gives a form field by its lower-case name.
// It gives nil for a form without a signature.
func ParseForm(field func(string) string, o Options) (*Claim, error) {
	policy := field("policy")
	switch {
	case field("x-amz-signature") != "" || field("x-amz-credential") != "" || field("x-amz-algorithm") != "":
		if a := field("x-amz-algorithm"); a != algorithm4 {
			return nil, failure.New(failure.InvalidArgument).With("ArgumentName", "x-amz-algorithm").With("ArgumentValue", a)
		}
		date, err := time.Parse(amzDate, field("x-amz-date"))
		if err != nil {
			return nil, failure.New(failure.InvalidArgument).With("ArgumentName", "x-amz-date").With("ArgumentValue", field("x-amz-date"))
		}
		if date.Sub(o.Now) > Skew || o.Now.Sub(date) > MaxExpires {
			return nil, skewed(date, o.Now)
		}
		c := &Claim{Version: V4, Presigned: true, Date: date, signature: field("x-amz-signature"), Payload: UnsignedPayload, toSign: policy}
		return c, c.credential(field("x-amz-credential"), o, failure.AuthorizationQuery, "Error parsing the X-Amz-Credential parameter")
	case field("awsaccesskeyid") != "" || field("signature") != "":
		return &Claim{Version: V2, Presigned: true, Access: field("awsaccesskeyid"), signature: field("signature"), toSign: policy}, nil
	}
	return nil, nil
}
