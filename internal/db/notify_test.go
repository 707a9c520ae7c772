package db_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
)

// What one server tells in a transaction the others hear once it is durable,
// once, and not itself.
func TestServersHearEachOther(t *testing.T) {
	url := dbtest.PostgresURL(t)
	var handles [2]*db.DB
	for i := range handles {
		d, err := db.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		handles[i] = d
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	heard := [2]chan string{make(chan string, 10), make(chan string, 10)}
	for i, d := range handles {
		ready := make(chan struct{})
		go func() { _ = d.Listen(ctx, func() { close(ready) }, func(m string) { heard[i] <- m }) }()
		<-ready
	}
	tell := func(d *db.DB, fail error, words ...string) error {
		return d.Write(ctx, func(tx *db.Tx) error {
			for _, w := range words {
				tx.Notify("t", w)
			}
			return fail
		})
	}
	if err := tell(handles[0], context.Canceled, "rolled back"); err == nil {
		t.Fatal("it was not rolled back")
	}
	if err := tell(handles[0], nil, "one", "one", "two words"); err != nil {
		t.Fatal(err)
	}
	if err := tell(handles[1], nil, "back"); err != nil {
		t.Fatal(err)
	}
	got := []string{<-heard[1], <-heard[1], <-heard[0]}
	if strings.Join(got, ",") != "t one,t two words,t back" || len(heard[0])+len(heard[1]) > 0 {
		t.Errorf("heard %q, and %d more", got, len(heard[0])+len(heard[1]))
	}
}

// Servers that start on one empty database migrate it once.
func TestServersMigrateOneAfterTheOther(t *testing.T) {
	url := dbtest.PostgresURL(t)
	errs := make(chan error, 3)
	for range cap(errs) {
		go func() {
			d, err := db.Open(context.Background(), url)
			if err == nil {
				err = d.Close()
			}
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
