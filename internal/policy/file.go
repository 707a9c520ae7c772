package policy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"go.yaml.in/yaml/v4"
)

// maxFile bounds the operators' file, in bytes.
const maxFile = 4 << 20

// Load puts an operators' policy file, YAML or JSON, over the registered
// defaults, instead of any file before it. On an error everything stays as it was.
func (e *Enforcer) Load(file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read policy file: %w", err)
	}
	overrides, err := parseFile(raw)
	if err != nil {
		return fmt.Errorf("policy file %s: %w", file, err)
	}
	if err := e.override(overrides); err != nil {
		return fmt.Errorf("policy file %s: %w", file, err)
	}
	return nil
}

func (e *Enforcer) override(overrides map[string]check) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	set, err := e.build(e.registered, overrides)
	if err != nil {
		return err
	}
	e.overrides = overrides
	e.current.Store(set)
	return nil
}

// Watch loads the file and loads it again whenever it changes, looking once a
// second, until ctx ends; it blocks, and then returns nil. A file that is not
// there means the defaults. What cannot be loaded goes to onError, once per change.
func (e *Enforcer) Watch(ctx context.Context, file string, onError func(error)) error {
	var seen stamp
	for first := true; ; first = false {
		now, err := stampOf(file)
		switch {
		case err != nil:
			if first || now != seen {
				onError(err)
			}
		case !first && now == seen:
		case !now.exists:
			err = e.override(nil)
		default:
			err = e.Load(file)
		}
		if err != nil && now.exists {
			onError(err)
		}
		seen = now
		select {
		case <-ctx.Done():
			return nil
		case <-e.opts.Clock.After(time.Second):
		}
	}
}

// stamp tells one state of a file from the next.
type stamp struct {
	exists bool
	size   int64
	mtime  time.Time
}

func stampOf(file string) (stamp, error) {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return stamp{}, nil
	}
	if err != nil {
		return stamp{}, fmt.Errorf("look at policy file: %w", err)
	}
	return stamp{true, info.Size(), info.ModTime()}, nil
}

// parseFile reads rule names with their checks, each a text or lists of texts.
func parseFile(raw []byte) (map[string]check, error) {
	if len(raw) > maxFile {
		return nil, fmt.Errorf("larger than %d bytes", maxFile)
	}
	var document map[string]any
	if err := yaml.Unmarshal(raw, &document); err != nil {
		return nil, fmt.Errorf("not a YAML or JSON object of rules: %w", err)
	}
	out := make(map[string]check, len(document))
	for name, value := range document {
		var c check
		var err error
		switch v := value.(type) {
		case string:
			c, err = parse(v)
		case []any:
			c, err = parseLists(v)
		default: // also no value at all, which oslo.policy would read as "everyone may"
			err = fmt.Errorf("%v is neither a text nor a list", v)
		}
		if err != nil {
			return nil, fmt.Errorf("rule %q: %w", name, err)
		}
		out[name] = c
	}
	return out, nil
}
