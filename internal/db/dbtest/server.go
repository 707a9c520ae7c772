package dbtest

import (
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Server is a PostgreSQL server of one test alone, which it may kill.
type Server struct {
	t testing.TB
	c *cluster
}

// NewServer starts one. It ends with the test.
func NewServer(t testing.TB) *Server {
	t.Helper()
	return NewServerOn(t, nil)
}

// NewServerOn is NewServer in a folder that prepare, if any, has made something
// of: it mounts a small file system there, or a slow one.
func NewServerOn(t testing.TB, prepare func(dir string) error) *Server {
	t.Helper()
	c, err := start(prepare)
	if err != nil {
		t.Fatalf("start PostgreSQL (Debian's package postgresql): %v", err)
	}
	t.Cleanup(c.stop)
	if err := os.Chmod(c.dir, 0o711); err != nil { // servers under test have users of their own
		t.Fatal(err)
	}
	return &Server{t, c}
}

// Dir is the folder that everything of it is in.
func (s *Server) Dir() string { return s.c.dir }

// Ended tells whether its process has ended by itself.
func (s *Server) Ended() bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, s.c.server.Process.Pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err == nil && info.Signo != 0
}

// Restart starts it again as whoever watches over it does when it has ended.
func (s *Server) Restart() {
	s.t.Helper()
	_ = s.c.server.Wait() // says how it ended
	s.Start()
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
