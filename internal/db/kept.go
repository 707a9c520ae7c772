package db

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Kept is what was read of rows that hardly ever change and that every request
// asks for: limits, defaults. It is kept as long as no transaction has written to
// the tables it was read of, where this process is the only writer (SQLite);
// elsewhere it is read each time. The zero Kept is not usable; see Keep. Safe for
// concurrent use.
type Kept[K comparable, V any] struct {
	tables []string

	mu    sync.Mutex
	of    *changes // whose tables are watched
	watch []*atomic.Uint64
	known map[K]keptValue[V]
}

type keptValue[V any] struct {
	value V
	at    uint64
}

// mostKept bounds how many values are kept.
const mostKept = 10_000

// Keep makes a Kept of what is read of some tables. "DELETE things" is for rows
// that go only when rows of another table do.
func Keep[K comparable, V any](tables ...string) *Kept[K, V] {
	return &Kept[K, V]{tables: tables}
}

// Get is what is known of a key, or what read answers, which reads by q. Who
// gets it must not change it.
func (k *Kept[K, V]) Get(q Querier, key K, read func() (V, error)) (v V, err error) {
	all, err := k.Some(q, []K{key}, func([]K) (map[K]V, error) {
		v, err := read()
		return map[K]V{key: v}, err
	})
	return all[key], err
}

// Some is what is known of keys, and what read answers of those that nothing is
// known of, which it reads by q. A key that has no value stays out, and is
// asked for each time.
func (k *Kept[K, V]) Some(q Querier, keys []K, read func(missing []K) (map[K]V, error)) (map[K]V, error) {
	c := changesOf(q)
	if c == nil {
		return read(keys)
	}
	out, missing, watch, at := k.lookUp(c, keys)
	if tx, own := q.(*Tx); own && tx.wrote(watch) {
		return read(keys) // what may never be committed
	}
	if len(missing) == 0 {
		return out, nil
	}
	fresh, err := read(missing)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.of == c && len(k.known)+len(fresh) > mostKept {
		clear(k.known)
	}
	for key, v := range fresh {
		out[key] = v
		if k.of == c && len(k.known) < mostKept {
			k.known[key] = keptValue[V]{v, at}
		}
	}
	return out, nil
}

// lookUp finds what is known of keys, and how many changes there have been.
func (k *Kept[K, V]) lookUp(c *changes, keys []K) (found map[K]V, missing []K, watch []*atomic.Uint64, at uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.of != c {
		k.of, k.watch, k.known = c, c.watch(k.tables), map[K]keptValue[V]{}
	}
	at = sum(k.watch)
	found = make(map[K]V, len(keys))
	for _, key := range keys {
		if v, ok := k.known[key]; ok && v.at == at {
			found[key] = v.value
		} else if !slices.Contains(missing, key) {
			missing = append(missing, key)
		}
	}
	return found, missing, k.watch, at
}

// Follow has what is kept of a key become something else once tx is committed, of
// which become knows what its one statement about the tables changes: for what
// would be read again for each change of ours. It does so only if nothing else
// was written to the tables meanwhile, by this transaction or another.
func (k *Kept[K, V]) Follow(tx *Tx, key K, become func(V) V) {
	tx.AfterCommit(func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if tx.changes == nil || k.of != tx.changes {
			return
		}
		const one = 2 // counted when it is made and when its batch is over
		if found, ok := k.known[key]; ok && tx.wrote(k.watch) && found.at+one == sum(k.watch) {
			k.known[key] = keptValue[V]{become(found.value), found.at + one}
		}
	})
}

// sum grows with each change of what is watched.
func sum(watch []*atomic.Uint64) (n uint64) {
	for _, w := range watch {
		n += w.Load()
	}
	return n
}

func changesOf(q Querier) *changes {
	switch q := q.(type) {
	case *Tx:
		return q.changes
	case *DB:
		return q.changes
	}
	return nil
}

// changes counts what is written to tables that somebody watches. A statement
// counts when it is made, so that nobody keeps what was before, and again when
// its batch is over, whatever came of it.
type changes struct {
	mu      sync.RWMutex
	writes  map[string]*atomic.Uint64
	deletes map[string]*atomic.Uint64
	watched atomic.Bool
}

func newChanges() *changes {
	return &changes{writes: map[string]*atomic.Uint64{}, deletes: map[string]*atomic.Uint64{}}
}

func (c *changes) watch(tables []string) []*atomic.Uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watched.Store(true)
	out := make([]*atomic.Uint64, len(tables))
	for i, name := range tables {
		of := c.writes
		if table, ok := strings.CutPrefix(name, "DELETE "); ok {
			of, name = c.deletes, table
		}
		if of[name] == nil {
			of[name] = &atomic.Uint64{}
		}
		out[i] = of[name]
	}
	return out
}

// note counts a statement of a transaction, if it writes to a watched table.
func (t *Tx) note(query string) {
	if t.changes == nil || !t.changes.watched.Load() {
		return
	}
	verb, table := target(query)
	if verb == "" {
		return
	}
	t.changes.mu.RLock()
	defer t.changes.mu.RUnlock()
	if w := t.changes.writes[table]; w != nil {
		t.touch(w)
	}
	if w := t.changes.deletes[table]; w != nil && verb == "DELETE" {
		t.touch(w)
	}
}

func (t *Tx) touch(w *atomic.Uint64) {
	w.Add(1)
	t.touched = append(t.touched, w)
}

func (t *Tx) wrote(watch []*atomic.Uint64) bool {
	for _, w := range t.touched {
		for _, x := range watch {
			if w == x {
				return true
			}
		}
	}
	return false
}

// over counts again what a transaction has written, once its batch has ended.
func (t *Tx) over() {
	for _, w := range t.touched {
		w.Add(1)
	}
}

// target is what a statement does to which table; verb is empty of one that
// reads. Statements here begin with their verb, in capitals.
func target(query string) (verb, table string) {
	verb, rest := word(query)
	switch verb {
	case "INSERT", "DELETE": // INTO, FROM
		_, rest = word(rest)
	case "UPDATE":
	default:
		return "", ""
	}
	table, _ = word(rest)
	return verb, table
}

// word is the first word of a text, and what comes after it.
func word(text string) (first, rest string) {
	text = strings.TrimLeft(text, " \t\n")
	if i := strings.IndexAny(text, " \t\n("); i >= 0 {
		return text[:i], text[i:]
	}
	return text, ""
}
