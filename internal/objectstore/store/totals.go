package store

import "github.com/cockroachdb/pebble/v2"

// Totals are counts over all accounts.
type Totals struct {
	Objects int64
	Bytes   int64
}

// Totals adds up what accounts count. A store that is not open counts nothing.
func (s *Store) Totals() (t Totals) {
	if s.gate.enter() != nil {
		return t
	}
	defer s.gate.leave()
	db := s.db.Load()
	if db == nil {
		return t
	}
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{accountCountFamily}, UpperBound: []byte{accountCountFamily + 1}})
	if err != nil {
		return t
	}
	for ok := it.First(); ok; ok = it.Next() {
		r := newReader(it.Value())
		_ = r.number() // containers
		objects := r.number()
		_ = r.number() // bytes of current objects
		t.Objects, t.Bytes = t.Objects+objects, t.Bytes+r.number()
	}
	_ = it.Close() // a figure for operators: the next one is right
	return t
}
