package mappings

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/mapping"
	"github.com/mekcloud/mek/internal/listing"
)

// maxCompiled bounds how many mappings are kept compiled.
const maxCompiled = 256

// Service keeps mappings. Safe for concurrent use.
type Service struct {
	db      *db.DB
	clock   clock.Clock
	changes identity.Changes
	store   store

	mu       sync.Mutex
	compiled map[string]compiled // by id
}

// compiled is what rules were when they were compiled.
type compiled struct {
	text, version string
	rules         *mapping.Rules
}

// New makes the service.
func New(d *db.DB, c clock.Clock, ch identity.Changes) *Service {
	return &Service{db: d, clock: c, changes: ch, store: newStore(), compiled: map[string]compiled{}}
}

// Get loads a mapping; NotFound.
func (s *Service) Get(ctx context.Context, id string) (*identity.Mapping, error) {
	return s.store.get(ctx, s.db, id)
}

// List loads a page of mappings.
func (s *Service) List(ctx context.Context, q listing.Query) ([]*identity.Mapping, error) {
	return s.store.list(ctx, s.db, q)
}

// Rules are the rules of a mapping as they are now, ready to be applied. They
// are compiled again only when they are others than the last time. NotFound.
func (s *Service) Rules(ctx context.Context, id string) (*mapping.Rules, error) {
	m, err := s.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	known, ok := s.compiled[id]
	s.mu.Unlock()
	if ok && known.text == string(m.Rules) && known.version == m.SchemaVersion {
		return known.rules, nil
	}
	rules, err := mapping.Parse(m.Rules, m.SchemaVersion)
	if err != nil { // a later version of this program may accept less
		return nil, fault.Internalf("compile mapping %s: %w", id, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.compiled) >= maxCompiled {
		clear(s.compiled)
	}
	s.compiled[id] = compiled{string(m.Rules), m.SchemaVersion, rules}
	return rules, nil
}

func (s *Service) write(ctx context.Context, action, object string, fn func(tx *db.Tx) error) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return s.changes.Changed(ctx, tx, identity.Change(action, "mapping", object))
	})
}

// checked is a mapping with rules that can be kept; Invalid.
func checked(m identity.Mapping) (identity.Mapping, error) {
	if m.SchemaVersion == "" {
		m.SchemaVersion = mapping.V1
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, m.Rules); err != nil {
		return m, fault.Invalidf("Invalid mapping: rules: not valid JSON")
	}
	m.Rules = compact.Bytes()
	_, err := mapping.Parse(m.Rules, m.SchemaVersion)
	return m, err
}

// Create adds a mapping with an id of the caller's. An empty version is 1.0.
// Invalid: the rules. Conflict: the id is taken.
func (s *Service) Create(ctx context.Context, m identity.Mapping) (*identity.Mapping, error) {
	m, err := checked(m)
	if err != nil {
		return nil, err
	}
	m.CreatedAt = s.clock.Now()
	err = s.write(ctx, "create", m.ID, func(tx *db.Tx) error { return s.store.mappings.Insert(ctx, tx, toRow(&m)) })
	if fault.Is(err, fault.Conflict) {
		err = fault.Conflictf("Conflict occurred attempting to store mapping - Duplicate entry found with ID %s.", m.ID).Because(err)
	}
	return &m, err
}

// Update replaces the rules and version of a mapping. An empty version is 1.0,
// whatever it was. Invalid: the rules. NotFound.
func (s *Service) Update(ctx context.Context, m identity.Mapping) (*identity.Mapping, error) {
	m, err := checked(m)
	if err != nil {
		return nil, err
	}
	err = s.write(ctx, "update", m.ID, func(tx *db.Tx) error {
		old, err := s.store.get(ctx, tx, m.ID)
		if err != nil {
			return err
		}
		m.CreatedAt = old.CreatedAt
		return s.store.mappings.Update(ctx, tx, toRow(&m))
	})
	return &m, err
}

// Delete removes a mapping, also one that protocols name; NotFound.
func (s *Service) Delete(ctx context.Context, id string) error {
	return s.write(ctx, "delete", id, func(tx *db.Tx) error {
		if _, err := s.store.get(ctx, tx, id); err != nil {
			return err
		}
		return s.store.mappings.Delete(ctx, tx, id)
	})
}
