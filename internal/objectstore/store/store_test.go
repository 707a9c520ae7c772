package store_test

import (
	"testing"

	"github.com/mekcloud/mek/internal/db/dbtest"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/store"
	"github.com/mekcloud/mek/internal/objectstore/storetest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func open(t testing.TB, c store.Config) *store.Store {
	t.Helper()
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	s := store.New(c)
	if err := s.Ready(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, c clock.Clock) objectstore.Store { return open(t, store.Config{Clock: c}) })
}
