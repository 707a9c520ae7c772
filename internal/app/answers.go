package app

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/answers"
	"github.com/mekcloud/mek/internal/pki"
	"github.com/mekcloud/mek/internal/reconcile"
	"github.com/mekcloud/mek/internal/rest"
)

// remembered is the front door's memory of requests under a client's key.
type remembered struct{ store *answers.Store }

// remember makes that memory.
func (b *builder) remember() (rest.Answers, error) {
	sealer, err := pki.NewSealer(b.Master, "answers")
	if err != nil {
		return nil, err
	}
	s := answers.New(b.DB, b.Clock, sealer)
	b.background("answers", reconciled(b.reconcilers(reconcile.Reconciler{Name: "answers", Every: time.Hour, Run: s.Expire})))
	return remembered{s}, nil
}

func (r remembered) Find(ctx context.Context, key string) (*rest.Outcome, error) {
	a, err := r.store.Find(ctx, key)
	if a == nil || err != nil {
		return nil, err
	}
	return &rest.Outcome{Request: a.Request, Object: a.Object, Status: a.Status, Header: a.Header, Body: a.Body}, nil
}

func (r remembered) Save(ctx context.Context, key string, a rest.Outcome) error {
	return r.store.Save(ctx, key, answers.Answer{Status: a.Status, Header: a.Header, Body: a.Body})
}
