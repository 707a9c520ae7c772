package fence

import "context"

type key struct{}

// With returns a context under which effects ask holds first. It answers an
// error of kind Unavailable when the right is lost.
func With(ctx context.Context, holds func() error) context.Context {
	return context.WithValue(ctx, key{}, holds)
}

// Check asks whether the right to act still holds; nil where none was needed.
func Check(ctx context.Context) error {
	if holds, ok := ctx.Value(key{}).(func() error); ok {
		return holds()
	}
	return nil
}
