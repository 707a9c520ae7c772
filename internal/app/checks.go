package app

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/hoststate"
	"github.com/mekcloud/mek/internal/outbox"
)

// checksPath is where "mek doctor" asks for what only the server can tell.
const checksPath = "/checks"

// checks makes the registry that services add theirs to.
func (b *builder) newChecks() {
	b.checks = check.New(check.Config{DB: b.DB, Clock: b.Clock, Agents: b.Hub, Sagas: b.tasks.Sagas})
	b.checks.Add(check.Database(b.DB)...)
	b.checks.Add(b.tasks.Checks()...)
	b.checks.Add(outbox.Checks()...)
	b.checks.Add(hoststate.Checks()...)
	b.watchShipping()
	b.routes.HandleFunc("GET "+checksPath, b.answerChecks)
}

// answerChecks evaluates the invariants for an administrator: names of objects
// are in what it finds, and it takes a while. ?mode=quiesced is exact;
// ?only=NAME, repeated, takes the checks that begin so.
func (b *builder) answerChecks(w http.ResponseWriter, r *http.Request) {
	caller, err := b.shared.auth.Authenticate(r.Context(), r.Header.Get("X-Auth-Token"))
	if err != nil || !caller.HasRole("admin") {
		http.Error(w, "for administrators", http.StatusUnauthorized)
		return
	}
	mode := check.Live
	switch given := check.Mode(r.URL.Query().Get("mode")); given {
	case "", check.Live:
	case check.Quiesced:
		mode = given
	default:
		http.Error(w, "mode is live or quiesced", http.StatusBadRequest)
		return
	}
	report, err := b.checks.Run(r.Context(), mode, r.URL.Query()["only"]...)
	if err != nil {
		b.Log.ErrorContext(context.WithoutCancel(r.Context()), "the cloud cannot be checked", "error", err)
		http.Error(w, "the cloud cannot be checked", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(report) // a client that left needs no answer
}
