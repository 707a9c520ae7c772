package guest

import "context"

type leaveKey struct{}

// WithLeave says how a driver asks whether a guest may run on this host.
func WithLeave(ctx context.Context, ask func(context.Context) error) context.Context {
	return context.WithValue(ctx, leaveKey{}, ask)
}

// Leave asks, while the caller goes on, and sends the answer: nil when the
// guest may run. Where nobody is to be asked it may.
func Leave(ctx context.Context) <-chan error {
	answer := make(chan error, 1)
	ask, _ := ctx.Value(leaveKey{}).(func(context.Context) error)
	if ask == nil {
		answer <- nil
		return answer
	}
	go func() { answer <- ask(ctx) }() // it ends with ctx, which the caller's call has
	return answer
}
