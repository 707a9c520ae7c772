package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/id"
)

// bareSize is about what the answer to a token has.
const bareSize = 1 << 10

// bare asks a process of its own that only answers: what Go's server and client
// take by themselves of each of our requests, and a commit that is asked for.
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
	cmd := exec.CommandContext(ctx, self, "-answer", address, "-dir", m.dir)
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
	if err := m.time("bare-http", "GET of 1 KiB from memory, from a process that is nothing but Go's HTTP server, one connection, Go's client", get); err != nil {
		return err
	}
	return m.sample("commit-asked", "ms", "one row inserted and durable, in that process, without its HTTP: who makes networks, subnets, ports or groups waits for each, and the disk and the processors rest meanwhile", func() (float64, error) {
		took, err := ask(ctx, client, "http://"+address+"/commit")
		return float64(took.Nanoseconds()) / 1e6, err
	})
}

// ask has a row committed and gives how long that took.
func ask(ctx context.Context, client *http.Client, url string) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	return time.ParseDuration(string(text))
}

// answer is that process.
func answer(address, dir string) error {
	d, insert, err := rows(context.Background(), filepath.Join(dir, "answer.db"))
	if err != nil {
		return err
	}
	defer d.Close()
	content := id.Bytes(bareSize)
	var steady clock.Real
	n := 0 // there is one client
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(content) // a client that left needs no answer
	})
	mux.HandleFunc("POST /commit", func(w http.ResponseWriter, _ *http.Request) {
		began := steady.Elapsed()
		n++
		if err := insert(n); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, steady.Elapsed()-began)
	})
	s := &http.Server{Addr: address, ReadHeaderTimeout: time.Minute, Handler: mux}
	return s.ListenAndServe()
}
