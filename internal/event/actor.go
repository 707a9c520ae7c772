package event

import "context"

// Actor is on whose behalf work runs. It travels in the context from the
// request to sagas and to the audit record.
type Actor struct {
	UserID    string
	ProjectID string
	RequestID string // "req-" and a UUID
	// NewWork says that something is asked for that takes room, and can wait.
	NewWork bool
	// ClientKey names what the client asked for, with the digest of the request,
	// so that it is done once; empty: it did not say. See rest.KeyHeader.
	ClientKey, Request string
}

type actorKey struct{}

// WithActor returns a context that carries an actor.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorOf gives the actor of a context; the zero Actor is the cloud itself.
func ActorOf(ctx context.Context) Actor {
	a, _ := ctx.Value(actorKey{}).(Actor) // absent: the zero Actor
	return a
}
