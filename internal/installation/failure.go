package installation

import (
	"errors"
	"fmt"
	"strings"
)

// Exit codes of every command.
const (
	ExitDone     = 0
	ExitFailed   = 1
	ExitUsage    = 2
	ExitDegraded = 3
	ExitBlocked  = 4
	ExitTimeout  = 5
)

// Failure is an error as a person needs it.
type Failure struct {
	Code int    // exit code
	What string // failed, in a few words
	Why  error  // the real cause; may be nil
	Do   string // next step
	Look string // where details are
}

// Error is all four parts, each on a line of its own.
func (f *Failure) Error() string {
	var b strings.Builder
	b.WriteString(f.What)
	if f.Why != nil {
		fmt.Fprintf(&b, ": %v", f.Why)
	}
	if f.Do != "" {
		b.WriteString("\n" + f.Do)
	}
	if f.Look != "" {
		b.WriteString("\nDetails: " + f.Look)
	}
	return b.String()
}

// Unwrap gives the cause.
func (f *Failure) Unwrap() error { return f.Why }

// ExitCode is what a command that returned err exits with.
func ExitCode(err error) int {
	var f *Failure
	switch {
	case err == nil:
		return ExitDone
	case errors.As(err, &f) && f.Code != 0:
		return f.Code
	}
	return ExitFailed
}
