package app

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/mekcloud/mek/internal/automaton"
	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/hoststate"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/network"
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
	for _, life := range Lives() {
		if life.Kind != compute.ServerLife().Kind { // servers look deeper
			b.checks.Add(check.States(b.DB, life)...)
		}
	}
	b.routes.HandleFunc("GET "+checksPath, b.answerChecks)
}

// Lives are those of everything that has a state (I-15).
func Lives() []automaton.Automaton {
	return append(blockstorage.Lives(), compute.ServerLife(), compute.MigrationLife(), image.Life(), image.TaskLife(), network.PortLife(), network.FloatingLife())
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
