package legacy

import (
	"encoding/json"
	"testing"

	"github.com/mekcloud/mek/internal/fault"
)

func TestTranslate(t *testing.T) {
	for body, want := range map[string]string{
		`{"auth":{"passwordCredentials":{"username":"u","password":"p"},"tenantName":"t"}}`: `{"auth":{"identity":{"methods":["password"],"password":{"user":{"domain":{"id":"default"},"name":"u","password":"p"}}},"scope":{"project":{"domain":{"id":"default"},"name":"t"}}}}`,
		`{"auth":{"token":{"id":"x"},"tenantId":"i"}}`:                                      `{"auth":{"identity":{"methods":["token"],"token":{"id":"x"}},"scope":{"project":{"id":"i"}}}}`,
		`{"auth":{"token":{"id":"x"}}}`:                                                     `{"auth":{"identity":{"methods":["token"],"token":{"id":"x"}}}}`,
	} {
		if got, err := translate([]byte(body)); err != nil || string(got) != want {
			t.Errorf("%s\nbecomes %s, %v\nwant %s", body, got, err, want)
		}
	}
	for _, body := range []string{`{}`, `[]`, `{"auth":{}}`, `{"auth":{"passwordCredentials":{"username":"u"}}}`, `{"auth":{"passwordCredentials":{"username":"u","userId":"i","password":"p"}}}`,
		`{"auth":{"token":{"id":"x"},"tenantId":"i","tenantName":"n"}}`} {
		if _, err := translate([]byte(body)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func FuzzTranslate(f *testing.F) {
	f.Add([]byte(`{"auth":{"passwordCredentials":{"username":"u","password":"p"},"tenantName":"t"}}`))
	f.Add([]byte(`{"auth":{"token":{"id":"x"},"trust_id":"i"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if got, err := translate(body); err == nil && !json.Valid(got) {
			t.Errorf("%q becomes %q", body, got)
		}
	})
}
