package tokens

import (
	"context"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/identity"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// wrong is the machine's clock, set wrongly.
type wrong struct {
	clock.Real
	by    time.Duration
	ahead time.Duration // of the steady reading
}

func (w *wrong) Now() time.Time         { return w.Real.Now().Add(w.by) }
func (w *wrong) Elapsed() time.Duration { return w.Real.Elapsed() + w.ahead }

type quiet struct{}

func (quiet) Append(context.Context, *db.Tx, event.Record) error { return nil }

type open struct{}

func (open) Seal(_ string, b []byte) []byte          { return b }
func (open) Open(_ string, b []byte) ([]byte, error) { return b, nil }

func server(t *testing.T, d *db.DB, by time.Duration) (*Service, *wrong) {
	t.Helper()
	w := &wrong{by: by}
	s, err := Open(t.Context(), Config{DB: d, Clock: w, Sealer: open{}, Journal: quiet{}, Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	return s, w
}

// What one server issued another revokes, however their clocks are set; and
// what is issued afterwards lives.
func TestRevocationAcrossServersWithWrongClocks(t *testing.T) {
	d := dbtest.Postgres(t)
	slow, _ := server(t, d, -7*time.Second)
	fast, _ := server(t, d, 9*time.Second)
	for round, pair := range [][2]*Service{{slow, fast}, {fast, slow}} {
		issuer, revoker := pair[0], pair[1]
		user := id.Hex()
		issue := func() identity.Token {
			sealed, _, err := issuer.Issue(identity.Token{UserID: user, Methods: []string{"password"}}, "")
			if err != nil {
				t.Fatal(err)
			}
			read, err := revoker.Read(sealed, 0)
			if err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			return read
		}
		old := issue()
		if err := d.Write(t.Context(), func(tx *db.Tx) error {
			return revoker.Changed(t.Context(), tx, event.Record{}, identity.Revocation{Subject: identity.SubjectUser, Key: user})
		}); err != nil {
			t.Fatal(err)
		}
		if err := issuer.Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		fresh := issue()
		for name, s := range map[string]*Service{"issuer": issuer, "revoker": revoker} {
			if !s.epochs.revoked(old) || s.epochs.revoked(fresh) {
				t.Errorf("round %d at the %s: old revoked %v, fresh revoked %v", round, name, s.epochs.revoked(old), s.epochs.revoked(fresh))
			}
		}
	}
}

// A server that has not asked for a while takes no token on its word.
func TestNothingIsTakenOnOldWord(t *testing.T) {
	d := dbtest.Postgres(t)
	a, _ := server(t, d, 0)
	b, clockOfB := server(t, d, 0)
	user := id.Hex()
	_, token, err := b.Issue(identity.Token{UserID: user, Methods: []string{"password"}}, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Write(t.Context(), func(tx *db.Tx) error {
		return a.Changed(t.Context(), tx, event.Record{}, identity.Revocation{Subject: identity.SubjectUser, Key: user})
	}); err != nil {
		t.Fatal(err)
	}
	if b.epochs.revoked(token) {
		t.Fatal("it cannot know yet")
	}
	clockOfB.ahead = Fresh
	if err := b.Ensure(t.Context()); err != nil || !b.epochs.revoked(token) {
		t.Errorf("after %v it still takes the token: %v", Fresh, err)
	}
	clockOfB.ahead += Fresh
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Ensure(ctx); err == nil {
		t.Error("a server that cannot ask takes tokens")
	}
}

// Servers that find the keys due at the same time turn the ring once.
func TestKeysAreTurnedOnce(t *testing.T) {
	d := dbtest.Postgres(t)
	a, clockOfA := server(t, d, 0)
	b, clockOfB := server(t, d, 0)
	clockOfA.by, clockOfB.by = 25*time.Hour, 25*time.Hour
	errs := make(chan error, 2)
	for _, s := range []*Service{a, b} {
		go func() { errs <- s.Maintain(context.Background()) }()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	keys, err := a.store.loadKeys(t.Context(), d, open{})
	if err != nil {
		t.Fatal(err)
	}
	if len(keys) != 3 {
		t.Errorf("%d keys after one turn", len(keys))
	}
}
