package tokens

import (
	"context"
	"sync"
	"testing"

	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/test/report"
)

// TestPerturbedEpochs has one server revoke tokens while another looks for
// revocations in the ways it should not: late, several at once, not at all for a
// while, dead in between. After one good look it knows all of them, and no more (F2).
func TestPerturbedEpochs(t *testing.T) {
	run, d := report.Start(t, "F2", 0), dbtest.Postgres(t)
	revoker, _ := server(t, d, 0)
	reader, _ := server(t, d, 0)
	issue := func() identity.Token {
		sealed, _, err := revoker.Issue(identity.Token{UserID: id.Hex(), Methods: []string{"password"}}, "")
		if err != nil {
			t.Fatal(err)
		}
		token, err := revoker.Read(sealed, 0)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	late, cancel := context.WithCancel(t.Context())
	cancel()
	for name, look := range map[string]func(){
		"missed":   func() {},
		"repeated": func() { _ = reader.Poll(t.Context()); _ = reader.Poll(t.Context()) }, // the last look says whether all is well
		"late":     func() { _ = reader.Poll(late) },
		"at once": func() {
			together(func() { _ = reader.Poll(t.Context()) }, func() { _ = reader.Poll(late) }, func() { _ = reader.Poll(t.Context()) })
		},
		"other died": func() { reader, _ = server(t, d, 0) },
	} {
		kept, gone := issue(), []identity.Token{}
		for range 8 {
			token := issue()
			gone = append(gone, token)
			together(func() {
				if err := revoker.Revoke(t.Context(), token); err != nil {
					t.Error(err)
				}
			}, look)
			run.Fault("look "+name, 1)
		}
		if err := reader.Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i, token := range gone {
			if !reader.epochs.revoked(token) {
				run.Violation("looks %s: revocation %d is not known", name, i)
			}
		}
		if reader.epochs.revoked(kept) {
			run.Violation("looks %s: a token that nobody revoked is dead", name)
		}
	}
}

func together(all ...func()) {
	var work sync.WaitGroup
	for _, one := range all {
		work.Go(one)
	}
	work.Wait()
}
