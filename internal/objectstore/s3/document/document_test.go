package document_test

import (
	"encoding/xml"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/objectstore/s3/document"
)

func TestDecode(t *testing.T) {
	var d document.Delete
	ok := `<?xml version="1.0" encoding="UTF-8"?><Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>` +
		`<Object><Key>a &amp; b&#x41;</Key></Object><Object><Key>c</Key><VersionId>null</VersionId></Object></Delete>`
	if err := document.Decode([]byte(ok), "Delete", &d); err != nil {
		t.Fatal(err)
	}
	if !d.Quiet || len(d.Objects) != 2 || d.Objects[0].Key != "a & bA" || d.Objects[0].VersionID != nil || *d.Objects[1].VersionID != "null" {
		t.Errorf("%+v", d)
	}
	for name, text := range map[string]string{
		"nothing":        "",
		"other root":     "<Other/>",
		"entity":         `<!DOCTYPE Delete [<!ENTITY x "y">]><Delete><Object><Key>&x;</Key></Object></Delete>`,
		"external":       `<!DOCTYPE Delete [<!ENTITY x SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&x;</Key></Object></Delete>`,
		"unknown entity": `<Delete><Object><Key>&x;</Key></Object></Delete>`,
		"deep":           "<Delete>" + strings.Repeat("<a>", 50) + strings.Repeat("</a>", 50) + "</Delete>",
		"many":           "<Delete>" + strings.Repeat("<a/>", 60000) + "</Delete>",
		"not closed":     "<Delete><Object>",
		"other space":    `<Delete xmlns="urn:x"><Object><Key>a</Key></Object></Delete>`,
		"other charset":  `<?xml version="1.0" encoding="UTF-7"?><Delete/>`,
		"no boolean":     "<Delete><Quiet>perhaps</Quiet></Delete>",
	} {
		if err := document.Decode([]byte(text), "Delete", &document.Delete{}); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestGrantee(t *testing.T) {
	text := `<AccessControlPolicy><Owner><ID>o</ID></Owner><AccessControlList><Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group">` +
		`<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>`
	var p document.AccessPolicy
	if err := document.Decode([]byte(text), "AccessControlPolicy", &p); err != nil || len(p.Grants) != 1 || p.Grants[0].Grantee.Type != "Group" || p.Owner.ID != "o" {
		t.Errorf("%+v, %v", p, err)
	}
	out, err := document.Encode(document.AccessList{Owner: document.Owner{ID: "o"}, Grants: []document.Grant{{Permission: "READ",
		Grantee: document.Grantee{Space: "http://www.w3.org/2001/XMLSchema-instance", Type: "Group", URI: "u"}}}})
	if err != nil || !strings.Contains(string(out), `xsi:type="Group"`) {
		t.Errorf("%s, %v", out, err)
	}
	if err := document.Decode(out, "AccessControlPolicy", &p); err != nil {
		t.Errorf("our own answer does not read: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`<Delete><Object><Key>a</Key></Object></Delete>`))
	f.Add([]byte(`<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"x"</ETag></Part></CompleteMultipartUpload>`))
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY b "c">]><Delete>&b;</Delete>`))
	f.Fuzz(func(t *testing.T, content []byte) {
		for root, v := range map[string]any{"Delete": &document.Delete{}, "CompleteMultipartUpload": &document.CompleteUpload{},
			"AccessControlPolicy": &document.AccessPolicy{}, "VersioningConfiguration": &document.Versioning{}, "CreateBucketConfiguration": &document.CreateBucket{}} {
			if document.Decode(content, root, v) == nil && strings.Contains(string(content), "<!DOCTYPE") && xml.Unmarshal(content, v) == nil {
				d := xml.NewDecoder(strings.NewReader(string(content)))
				for {
					token, err := d.RawToken()
					if err != nil {
						break
					}
					if _, ok := token.(xml.Directive); ok {
						t.Fatal("a directive was accepted")
					}
				}
			}
		}
	})
}
