package agent

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
)

// keepResults is how long a result waits for being forgotten. No saga lives so long.
const keepResults = 7 * 24 * time.Hour

// commands runs one-shots once per token.
type commands struct {
	journal *Journal
	clock   clock.Clock

	mu      sync.Mutex
	results map[string]result
	running map[string]*call
	queues  map[string]chan struct{} // per object: holds one element while a command runs
	waiting map[string]int
}

type call struct {
	done   chan struct{}
	result result
	err    error // set when there is no result to keep
}

func newCommands(j *Journal, c clock.Clock, results map[string]result) *commands {
	limit := c.Now().Add(-keepResults)
	for token, r := range results {
		if r.At.Before(limit) {
			delete(results, token)
		}
	}
	return &commands{journal: j, clock: c, results: results, running: map[string]*call{},
		queues: map[string]chan struct{}{}, waiting: map[string]int{}}
}

// do runs a command, waits for the run of the same token, or repeats its
// result. ctx is the caller's: its end leaves the command running. life is the agent's.
func (c *commands) do(ctx, life context.Context, cmd hostlink.Command, run func(context.Context) (json.RawMessage, error), spawn func(func())) (json.RawMessage, error) {
	c.mu.Lock()
	if r, ok := c.results[cmd.Token]; ok {
		c.mu.Unlock()
		return r.Value, r.Error.Err()
	}
	running, ok := c.running[cmd.Token]
	if !ok {
		running = &call{done: make(chan struct{})}
		c.running[cmd.Token] = running
		spawn(func() { c.execute(life, cmd, running, run) })
	}
	c.mu.Unlock()
	select {
	case <-running.done:
	case <-ctx.Done():
		return nil, fault.Unavailablef("the command is still running").Because(ctx.Err())
	}
	if running.err != nil {
		return nil, running.err
	}
	return running.result.Value, running.result.Error.Err()
}

// execute runs a command when the object is free and keeps its result, unless
// the outcome may be another one next time.
func (c *commands) execute(life context.Context, cmd hostlink.Command, to *call, run func(context.Context) (json.RawMessage, error)) {
	defer close(to.done)
	timeout := cmd.Timeout
	if timeout <= 0 {
		timeout = time.Minute
	}
	ctx, cancel := context.WithTimeout(life, timeout)
	defer cancel()
	leave, err := c.enter(ctx, string(cmd.Section)+"/"+cmd.Object)
	var value json.RawMessage
	if err == nil {
		value, err = run(ctx)
		leave()
	}
	if ctx.Err() != nil && err != nil {
		err = fault.Unavailablef("the command was not finished in time").Because(err)
	}
	r := result{Token: cmd.Token, At: c.clock.Now(), Value: value, Error: hostlink.PackError(err)}
	keep := !fault.Is(err, fault.Unavailable)
	if keep {
		if jerr := c.journal.append(record{Result: &r}); jerr != nil {
			keep, err = false, fault.Unavailablef("the host cannot write its journal").Because(jerr)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.running, cmd.Token)
	to.result = r
	if keep {
		c.results[cmd.Token] = r
	} else {
		to.err = err
	}
}

// enter waits until no other command of the object runs.
func (c *commands) enter(ctx context.Context, object string) (leave func(), err error) {
	c.mu.Lock()
	q, ok := c.queues[object]
	if !ok {
		q = make(chan struct{}, 1)
		c.queues[object] = q
	}
	c.waiting[object]++
	c.mu.Unlock()
	forget := func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.waiting[object]--; c.waiting[object] == 0 {
			delete(c.waiting, object)
			delete(c.queues, object)
		}
	}
	select {
	case q <- struct{}{}:
		return func() { <-q; forget() }, nil
	case <-ctx.Done():
		forget()
		return nil, fault.Unavailablef("another command of the object is running").Because(ctx.Err())
	}
}

// forget drops a result. A token that nobody knows is fine.
func (c *commands) forget(token string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.results[token]; !ok {
		return nil
	}
	if err := c.journal.append(record{Forget: token}); err != nil {
		return fault.Unavailablef("the host cannot write its journal").Because(err)
	}
	delete(c.results, token)
	return nil
}
