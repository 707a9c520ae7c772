package credentials

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"
)

const exampleSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

// vanilla is "get-vanilla" of the published test suite of signature version 4.
func vanilla() *signed {
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	const signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
	return &signed{Access: "AKIDEXAMPLE", Signature: signature, Host: "example.amazonaws.com", Verb: "GET", Path: "/", BodyHash: empty,
		Headers: map[string]string{"Host": "example.amazonaws.com", "X-Amz-Date": "20150830T123600Z",
			"Authorization": v4 + " Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + signature}}
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	if !vanilla().fits(exampleSecret) {
		t.Error("the published example does not fit")
	}
	for name, change := range map[string]func(*signed){
		"verb": func(r *signed) { r.Verb = "PUT" }, "path": func(r *signed) { r.Path = "/x" }, "host": func(r *signed) { r.Host = "evil" },
		"body": func(r *signed) { r.BodyHash = "00" }, "parameter": func(r *signed) { r.Params = map[string]string{"a": "b"} },
		"date": func(r *signed) { r.Headers["X-Amz-Date"] = "20150830T123601Z" }, "signature": func(r *signed) { r.Signature = "" },
		"day":       func(r *signed) { r.Headers["X-Amz-Date"] = "20150831T123600Z" },
		"algorithm": func(r *signed) { r.Headers["Authorization"] = "" },
	} {
		r := vanilla()
		change(r)
		if r.fits(exampleSecret) {
			t.Errorf("fits with another %s", name)
		}
	}
	// The example of AWS's documentation of version 2 (Elastic MapReduce).
	two := &signed{Verb: "GET", Host: "elasticmapreduce.amazonaws.com", Path: "/", Signature: "i91nKc4PWAt0JJIdXwz9HxZCJDdiy6cf/Mj6vPxyYIs=",
		Params: map[string]string{"AWSAccessKeyId": "AKIAIOSFODNN7EXAMPLE", "Action": "DescribeJobFlows", "SignatureMethod": "HmacSHA256",
			"SignatureVersion": "2", "Timestamp": "2011-10-03T15:19:30", "Version": "2009-03-31"}}
	if !two.fits("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY") {
		t.Errorf("version 2 gives %s", two.signature("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", two.Host))
	}
	two.Host += ":8788"
	if !two.fits("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY") {
		t.Error("does not fit without the port")
	}
}

func TestFreshness(t *testing.T) {
	t.Parallel()
	made := time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
	for off, want := range map[time.Duration]bool{0: true, 5 * time.Minute: true, -5 * time.Minute: true, 5*time.Minute + time.Second: false, -6 * time.Minute: false} {
		if got := vanilla().fresh(made.Add(off)); got != want {
			t.Errorf("after %v: %v", off, got)
		}
	}
	if (&signed{}).fresh(made) {
		t.Error("a signature without a time is taken")
	}
}

func TestS3Signatures(t *testing.T) {
	t.Parallel()
	// The example GET of AWS's documentation of S3's older signatures.
	text := "GET\n\n\nTue, 27 Mar 2007 19:36:42 +0000\n/awsexamplebucket1/photos/puppy.jpg"
	r := &signed{Token: base64.URLEncoding.EncodeToString([]byte(text)), Signature: "qgk2+6Sv9/oM7G3qLEjTH1a1l1g="}
	if !r.fitsS3("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY") {
		t.Error("the published example does not fit")
	}
	if r.fitsS3("other") {
		t.Error("fits another secret")
	}
	for _, bad := range []string{"AWS4-HMAC-SHA256\nx", "AWS4-HMAC-SHA256\nd\n20150830/r/ec2/aws4_request\nh", "AWS4-HMAC-SHA256\nd\n20150830/r/s3/other\nh"} {
		r := &signed{Token: base64.URLEncoding.EncodeToString([]byte(bad)), Signature: "x"}
		if r.fitsS3("s") {
			t.Errorf("%q fits", bad)
		}
	}
}

func FuzzReadSigned(f *testing.F) {
	f.Add(`{"credentials":{"access":"a","params":{"SignatureVersion":"2"},"headers":{"Authorization":"AWS4-HMAC-SHA256 Credential=a/b/c/d/e"}}}`)
	f.Add(`{"ec2Credentials":{"access":"a","token":"QVdTNA=="}}`)
	f.Fuzz(func(t *testing.T, body string) {
		r, err := readSigned([]byte(body))
		if err != nil {
			return
		}
		if r.fits("secret-"+strings.Repeat("x", 8)) || r.fitsS3("secret") {
			t.Skip("a signature was found")
		}
		r.fresh(time.Unix(0, 0))
	})
}
