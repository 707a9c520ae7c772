package tokens

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/identity"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 123456000, time.UTC)

func samples() map[string]identity.Token {
	at := func(s identity.Scope) identity.Token {
		return identity.Token{UserID: id.Hex(), Methods: []string{"password"}, Scope: s, AuditIDs: []string{"one"},
			IssuedAt: noon, ExpiresAt: noon.Add(time.Hour).Truncate(time.Second)}
	}
	ac := at(identity.Scope{ProjectID: id.Hex()})
	ac.AppCredentialID, ac.Methods = id.Hex(), []string{"application_credential"}
	derived := at(identity.Scope{DomainID: "default"})
	derived.Methods, derived.AuditIDs = []string{"token", "password"}, []string{"two", "one"}
	odd := at(identity.Scope{ProjectID: "not-a-uuid", TrustID: strings.ToUpper(id.Hex())})
	return map[string]identity.Token{"unscoped": at(identity.Scope{}), "project": at(identity.Scope{ProjectID: id.Hex()}), "domain": derived,
		"system": at(identity.Scope{System: true}), "trust": at(identity.Scope{ProjectID: id.Hex(), TrustID: id.Hex()}),
		"application credential": ac, "odd ids": odd}
}

func TestPayloadsKeepEverything(t *testing.T) {
	t.Parallel()
	for name, want := range samples() {
		got, err := decodePayload(encodePayload(want))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestSealedTokens(t *testing.T) {
	t.Parallel()
	ours, other := ring(t), ring(t)
	for name, token := range samples() {
		sealed, ok := ours.seal(encodePayload(token), noon)
		if !ok || len(sealed) > 255 || !strings.HasPrefix(sealed, "gAAAAA") || strings.Contains(sealed, "=") {
			t.Fatalf("%s: sealed as %q", name, sealed)
		}
		if msg, ok := ours.open(sealed); !ok || string(msg) != string(encodePayload(token)) {
			t.Errorf("%s: does not open", name)
		}
		if _, ok := other.open(sealed); ok {
			t.Errorf("%s: opens with another ring", name)
		}
		for _, i := range []int{0, 5, 20, len(sealed) / 2, len(sealed) - 2} {
			changed := []byte(sealed)
			if changed[i]++; changed[i] > 'z' {
				changed[i] = 'A'
			}
			if _, ok := ours.open(string(changed)); ok {
				t.Errorf("%s: opens with byte %d changed", name, i)
			}
		}
		for _, bad := range []string{"", sealed[:len(sealed)-8], sealed + "AAAA", sealed + "=", sealed + "\n", strings.Repeat("A", 100), strings.Repeat("gAAA", 256), strings.Repeat("gAAA", 300)} {
			if _, ok := ours.open(bad); ok {
				t.Errorf("%s: %q opens", name, bad)
			}
		}
	}
}

func ring(t *testing.T) *sealer {
	t.Helper()
	keys, _ := Rotate(nil, noon, time.Hour)
	s := &sealer{}
	s.use(keys)
	return s
}

func TestRotation(t *testing.T) {
	t.Parallel()
	states := func(keys []Key) string {
		var out []string
		for _, k := range keys {
			out = append(out, string(k.State))
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	keys, _ := Rotate(nil, noon, time.Hour)
	if states(keys) != "primary staged" {
		t.Fatalf("a new ring has %s", states(keys))
	}
	ring := &sealer{}
	ring.use(keys)
	first, _ := ring.seal(encodePayload(samples()["project"]), noon)
	staged := keys[slices.IndexFunc(keys, func(k Key) bool { return k.State == Staged })]
	keys, dropped := Rotate(keys, noon.Add(30*time.Minute), time.Hour)
	if states(keys) != "primary retired staged" || len(dropped) != 0 {
		t.Fatalf("after one turn %s, dropped %d", states(keys), len(dropped))
	}
	if p := keys[slices.IndexFunc(keys, func(k Key) bool { return k.State == Primary })]; p.ID != staged.ID {
		t.Error("the primary is not the key that was published before")
	}
	ring.use(keys)
	if _, ok := ring.open(first); !ok {
		t.Error("a token of the retired key does not open")
	}
	second, _ := ring.seal(encodePayload(samples()["system"]), noon)
	behind := &sealer{} // another server that has not read the last turn
	behind.use([]Key{staged})
	if _, ok := behind.open(second); !ok {
		t.Error("a server that is a turn behind cannot read new tokens")
	}
	keys, dropped = Rotate(keys, noon.Add(91*time.Minute), time.Hour)
	if states(keys) != "primary retired staged" || len(dropped) != 1 {
		t.Fatalf("after two turns %s, dropped %d", states(keys), len(dropped))
	}
	ring.use(keys)
	if _, ok := ring.open(first); ok {
		t.Error("a token of a dropped key opens")
	}
}

func TestEpochs(t *testing.T) {
	t.Parallel()
	token := identity.Token{UserID: "u", Scope: identity.Scope{ProjectID: "p", TrustID: "tr"}, AppCredentialID: "ac",
		AuditIDs: []string{"own", "chain"}, IssuedAt: noon}
	for subject, key := range map[identity.Subject]string{identity.SubjectUser: "u", identity.SubjectProject: "p", identity.SubjectTrust: "tr",
		identity.SubjectAppCred: "ac", identity.SubjectToken: "own", identity.SubjectChain: "chain", identity.SubjectDomain: "d"} {
		e := newEpochs()
		until := noon.Add(time.Hour)
		e.add(identity.Revocation{Subject: subject, Key: key + "other", Before: noon.Add(time.Second), Until: until})
		e.add(identity.Revocation{Subject: subject, Key: key, Before: noon, Until: until})
		if e.revoked(token, "d") {
			t.Errorf("%s: a token issued at the moment itself is dead", subject)
		}
		e.add(identity.Revocation{Subject: subject, Key: key, Before: noon.Add(time.Microsecond), Until: until})
		e.add(identity.Revocation{Subject: subject, Key: key, Before: noon.Add(-time.Hour), Until: until})
		if !e.revoked(token, "d") {
			t.Errorf("%s: a token issued before is alive, or an older epoch replaced a newer one", subject)
		}
		e.prune(until.Add(time.Second))
		if e.revoked(token, "d") || len(e.before) != 0 {
			t.Errorf("%s: kept after nothing can be hit any more", subject)
		}
	}
}

func FuzzDecodePayload(f *testing.F) {
	for _, t := range samples() {
		f.Add(encodePayload(t))
	}
	f.Add([]byte{0x9a, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		token, err := decodePayload(b)
		if err != nil {
			return
		}
		again, err := decodePayload(encodePayload(token))
		if err != nil || !cmp.Equal(token, again) {
			t.Fatalf("%+v, again %+v, %v", token, again, err)
		}
	})
}

func FuzzOpen(f *testing.F) {
	keys, _ := Rotate(nil, noon, time.Hour)
	s := &sealer{}
	s.use(keys)
	good, _ := s.seal(encodePayload(samples()["project"]), noon)
	f.Add(good)
	f.Add(good + "AAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, token string) {
		want, _ := s.open(good)
		if got, ok := s.open(token); ok && string(got) != string(want) { // the last character has unused bits
			t.Fatalf("%q opens", token)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	keys, _ := Rotate(nil, noon, time.Hour)
	s := &Service{epochs: newEpochs()}
	s.sealed.use(keys)
	token, _ := s.sealed.seal(encodePayload(samples()["project"]), noon)
	for b.Loop() {
		msg, ok := s.sealed.open(token)
		if _, err := decodePayload(msg); !ok || err != nil {
			b.Fatal(err)
		}
	}
}
