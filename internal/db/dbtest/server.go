package dbtest

import (
	"os"
	"syscall"
	"testing"
)

// Server is a PostgreSQL server of one test alone, which it may kill.
type Server struct {
	t testing.TB
	c *cluster
}

// NewServer starts one. It ends with the test.
func NewServer(t testing.TB) *Server {
	t.Helper()
	c, err := start()
	if err != nil {
		t.Fatalf("start PostgreSQL (Debian's package postgresql): %v", err)
	}
	t.Cleanup(c.stop)
	if err := os.Chmod(c.dir, 0o711); err != nil { // servers under test have users of their own
		t.Fatal(err)
	}
	return &Server{t, c}
}

// URL is the address of its database.
func (s *Server) URL() string { return s.c.url("postgres") }

// Fast stops it as an administrator does: transactions are rolled back.
func (s *Server) Fast() { s.stop(syscall.SIGINT) }

// Immediate stops it as a crash does: it recovers from its log at the next start.
func (s *Server) Immediate() { s.stop(syscall.SIGQUIT) }

func (s *Server) stop(how syscall.Signal) {
	s.t.Helper()
	if err := s.c.server.Process.Signal(how); err != nil {
		s.t.Fatalf("stop PostgreSQL: %v", err)
	}
	_ = s.c.server.Wait() // reports the signal
}

// Start starts it again and waits until it answers.
func (s *Server) Start() {
	s.t.Helper()
	if err := s.c.run(); err != nil {
		s.t.Fatalf("start PostgreSQL again: %v", err)
	}
}
