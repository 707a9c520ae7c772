package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/mekcloud/mek/internal/id"
)

// bareSize is about what the answer to a token has.
const bareSize = 1 << 10

// bare asks a process of its own that only answers: what Go's server and client
// take by themselves of each of our requests.
func (m *machine) bare(ctx context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := l.Addr().String()
	l.Close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, "-answer", address)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		_ = cmd.Process.Kill() // gone already is as good
		_ = cmd.Wait()         // reports the signal
	}()
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	get := func() error { return fetch(ctx, client, "http://"+address+"/", bareSize) }
	if err := m.until(10*time.Second, get); err != nil {
		return fmt.Errorf("our own answers: %w", err)
	}
	return m.time("bare-http", "GET of 1 KiB from memory, from a process that is nothing but Go's HTTP server, one connection, Go's client", get)
}

// answer is that process.
func answer(address string) error {
	content := id.Bytes(bareSize)
	s := &http.Server{Addr: address, ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(content) // a client that left needs no answer
	})}
	return s.ListenAndServe()
}
