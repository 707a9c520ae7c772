package app

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hoststate"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/reconcile"
)

// keptObjects is where operators see what hosts keep since the database went
// back in time, and release it.
const keptObjects = "/recovery/kept"

// recovery files what hosts keep, and lets go of what a saga claims.
func (b *builder) recovery(context.Context) error {
	keeper := hoststate.NewKeeper(b.DB, b.Clock)
	b.Hub.OnReport(func(ctx context.Context, r hostlink.Report) error {
		list := make([]hoststate.Kept, 0, len(r.Kept))
		for _, k := range r.Kept {
			list = append(list, hoststate.Kept{Object: k.ID, Kind: string(k.Kind), Epoch: k.Epoch, Spec: string(k.Spec)})
		}
		return keeper.File(ctx, r.Host, string(r.Section), list)
	})
	b.checks.Add(hoststate.KeptChecks()...)
	b.background("recovery", reconciled(b.reconcilers(reconcile.Reconciler{Name: "recovery.claimed", Every: 15 * time.Second, Run: b.releaseClaimed})))
	b.routes.HandleFunc("POST /recovery/checkpoint", b.administrators(b.checkpoint))
	b.routes.HandleFunc("GET "+keptObjects, b.administrators(b.listKept))
	b.routes.HandleFunc("POST "+keptObjects+"/release", b.administrators(b.releaseKept))
	return nil
}

// releaseClaimed removes from hosts what is in quarantine there although a saga
// of the restored database is waiting for it to be gone.
func (b *builder) releaseClaimed(ctx context.Context) error {
	list, err := hoststate.KeptObjects(ctx, b.DB, listing.Term{Column: "kind", Op: listing.Eq, Values: []any{string(hostlink.KeptUnknown)}})
	for _, k := range list {
		live, e := b.tasks.Live(ctx, b.DB, k.Object)
		if e == nil && len(live) > 0 && b.Hub.Alive(k.Host) {
			e = b.release(ctx, k, live[0].ID)
		}
		err = errors.Join(err, e)
	}
	return err
}

func (b *builder) release(ctx context.Context, k hoststate.Kept, token string) error {
	token = "release-" + k.Section + "-" + k.Object + "-" + token
	_, err := b.Hub.Do(ctx, k.Host, hostlink.Command{Token: token, Section: hostlink.Section(k.Section), Object: k.Object, Verb: hostlink.VerbRelease})
	if err != nil {
		return err
	}
	return b.Hub.Forget(ctx, k.Host, token)
}

// administrators serves a request of operators' commands.
func (b *builder) administrators(serve func(r *http.Request, caller *policy.Credentials) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		caller, err := b.shared.auth.Authenticate(r.Context(), r.Header.Get("X-Auth-Token"))
		if err != nil || !caller.HasRole("admin") {
			http.Error(w, "for administrators", http.StatusUnauthorized)
			return
		}
		answer, err := serve(r, caller)
		status := http.StatusOK
		if err != nil {
			status, answer = http.StatusServiceUnavailable, map[string]string{"error": fault.As(err).Text}
			switch fault.As(err).Kind {
			case fault.Invalid:
				status = http.StatusBadRequest
			case fault.NotFound:
				status = http.StatusNotFound
			case fault.Conflict:
				status = http.StatusConflict
			default:
				b.Log.Error("recovery", "error", err)
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(answer) // a client that left needs no answer
	}
}

func (b *builder) listKept(r *http.Request, _ *policy.Credentials) (any, error) {
	list, err := hoststate.KeptObjects(r.Context(), b.DB)
	return map[string]any{"kept": list}, err
}

// releaseKept has a host remove what it holds in quarantine. What was asked for
// is in the audit log before it is done.
func (b *builder) releaseKept(r *http.Request, caller *policy.Credentials) (any, error) {
	var in struct{ Host, Section, Object string }
	dec := json.NewDecoder(io.LimitReader(r.Body, 16<<10))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return nil, fault.Invalidf("The body must name host, section and object.").Because(err)
	}
	ctx := r.Context()
	list, err := hoststate.KeptObjects(ctx, b.DB, listing.Term{Column: "object", Op: listing.Eq, Values: []any{in.Object}})
	if err != nil {
		return nil, err
	}
	for _, k := range list {
		if k.Host != in.Host || k.Section != in.Section {
			continue
		}
		if !b.Hub.Alive(k.Host) {
			return nil, fault.Unavailablef("The host %s cannot be reached now.", k.Host)
		}
		record := event.Record{Service: "compute", Action: "delete", Kind: "kept-" + k.Section, Object: k.Object, UserID: caller.UserID, ProjectID: caller.ProjectID}
		if err := b.DB.Write(ctx, func(tx *db.Tx) error { return outbox.Write(ctx, tx, record) }); err != nil {
			return nil, err
		}
		return map[string]any{"released": k}, b.release(ctx, k, id.New())
	}
	return nil, fault.NotFoundf("The host %s keeps no %s %s.", in.Host, in.Section, in.Object)
}

// checkpoint copies the index of objects for a backup: only this process has it open.
func (b *builder) checkpoint(*http.Request, *policy.Credentials) (any, error) {
	store, ok := b.shared.objects.(interface{ Checkpoint() (string, error) })
	if !ok {
		return map[string]string{"dir": ""}, nil
	}
	dir, err := store.Checkpoint()
	return map[string]string{"dir": dir}, err
}
