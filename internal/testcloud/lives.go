package testcloud

import (
	"bytes"
	"context"
	"regexp"

	"github.com/mekcloud/mek/internal/app"
	"github.com/mekcloud/mek/internal/automaton"
	"github.com/mekcloud/mek/internal/db/watch"
)

// columns are where states are kept.
func columns() map[string]string {
	out := map[string]string{}
	for _, a := range app.Lives() {
		out[a.Table] = a.Column
	}
	return out
}

// heed remembers that a state was written by hand.
func (j *journal) heed(body []byte) {
	for _, word := range []string{"os-resetState", "reset_status", "os-update_snapshot_status", "migrate_volume_completion"} {
		if j != nil && bytes.Contains(body, []byte(word)) {
			j.mu.Lock()
			j.reset = true
			j.mu.Unlock()
		}
	}
}

// minted are ids that the cloud makes; others name what they are of.
var minted = regexp.MustCompile(`^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$`)

// again are tables whose ids are those of other objects, which come and go: what
// a server holds of a host, and what is waited for.
var again = map[string]bool{}

// checkLives holds every change that was committed against the automata (I-15),
// and fails the test when a row comes back under an id that was used (I-16).
func (c *Cloud) checkLives() {
	c.t.Helper()
	list, err := c.watch.Changes(context.Background())
	must(c.t, err)
	c.noted.mu.Lock()
	reset := c.noted.reset
	c.noted.mu.Unlock()
	for _, wrong := range Wrong(list, reset) {
		c.t.Error(wrong)
	}
}

// Lived lists the states that an object was seen in, in order.
func (c *Cloud) Lived(id string) (out []string) {
	c.t.Helper()
	list, err := c.watch.Changes(context.Background())
	must(c.t, err)
	for _, ch := range list {
		if ch.ID == id {
			out = append(out, ch.New)
		}
	}
	return out
}

// Wrong lists what no automaton allows of the changes, and ids that came back.
func Wrong(list []watch.Change, reset bool) (out []string) {
	lives := map[string]automaton.Automaton{}
	for _, a := range app.Lives() {
		lives[a.Table] = a
	}
	gone := map[[2]string]bool{}
	for _, ch := range list {
		key := [2]string{ch.Table, ch.ID}
		if a, ok := lives[ch.Table]; ok && !a.May(ch.Old, ch.New, reset) {
			out = append(out, "I-15: "+a.Kind+" "+ch.ID+" went from "+quoted(ch.Old)+" to "+quoted(ch.New))
		}
		if ch.Old == automaton.Gone && gone[key] && minted.MatchString(ch.ID) && !again[ch.Table] {
			out = append(out, "I-16: "+ch.Table+" "+ch.ID+" was deleted and is there again")
		}
		gone[key] = ch.New == automaton.Gone
	}
	return out
}

func quoted(state string) string {
	if state == automaton.Gone {
		return "nothing"
	}
	return state
}
