package auth

import (
	"testing"

	"github.com/mekcloud/mek/internal/fault"
)

// A login that is read names a user to check and at most one scope.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"a","domain":{"id":"default"},"password":"x"}}},"scope":{"project":{"id":"p"}}}}`,
		`{"auth":{"identity":{"methods":["token"],"token":{"id":"t"}},"scope":"unscoped"}}`,
		`{"auth":{"identity":{"methods":["application_credential"],"application_credential":{"name":"n","user":{"id":"u"},"secret":"s"}}}}`,
		`{"auth":{"identity":{"methods":["token","password"],"token":{"id":"t"},"password":{"user":{"id":"u","password":""}}},"scope":{"system":{"all":true}}}}`,
		`{"auth":{"identity":{"methods":["password","password"],"password":null},"scope":{"OS-TRUST:trust":{"id":""}}}}`, `{"auth":null}`, `[]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parse(body)
		if err != nil {
			if k := fault.KindOf(err); k == fault.Internal {
				t.Fatalf("input is answered as a defect: %v", err)
			}
			return
		}
		if len(r.methods) == 0 || (r.password == nil && r.token == nil && r.appCred == nil) {
			t.Fatalf("nobody to check in %+v", r)
		}
		r.account() // must not panic
		scopes := 0
		for _, there := range []bool{r.scope.unscoped, r.scope.system, r.scope.project != nil, r.scope.domain != nil, r.scope.trust != ""} {
			if there {
				scopes++
			}
		}
		if scopes > 1 || (scopes == 1) != r.scope.asked {
			t.Fatalf("scopes %+v", r.scope)
		}
	})
}
