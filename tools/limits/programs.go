package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/id"
)

const nginxConfig = `daemon off;
worker_processes 2;
pid %[1]s/nginx.pid;
error_log %[1]s/error.log;
events {}
http {
	access_log off;
	sendfile on;
	keepalive_requests 1000000;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server { listen %[2]s; root %[1]s/www; }
}
`

// nginx gets a file of 4 KiB from it, over one connection.
func (m *machine) nginx(ctx context.Context) error {
	const name = "nginx-4k"
	program, err := exec.LookPath("nginx")
	if err != nil {
		m.absent(name, "ms", "nginx is not installed")
		return nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := l.Addr().String()
	l.Close()
	dir := filepath.Join(m.dir, "nginx")
	err = errors.Join(os.MkdirAll(filepath.Join(dir, "www"), 0o755), os.Chmod(m.dir, 0o755),
		os.WriteFile(filepath.Join(dir, "www", "file"), id.Bytes(4<<10), 0o644),
		os.WriteFile(filepath.Join(dir, "nginx.conf"), fmt.Appendf(nil, nginxConfig, dir, address), 0o644))
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, "-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", filepath.Join(dir, "nginx.conf"))
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // its workers end with it
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		_ = cmd.Process.Signal(os.Interrupt) // gone already is as good
		_ = cmd.Wait()                       // reports the signal
	}()
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	get := func() error { return fetch(ctx, client, "http://"+address+"/file", 4<<10) }
	if err := m.until(10*time.Second, get); err != nil {
		return fmt.Errorf("nginx: %w", err)
	}
	return m.time(name, "GET of a file of 4 KiB from nginx, one connection, Go's client", get)
}

func fetch(ctx context.Context, client *http.Client, url string, size int64) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	n, err := io.Copy(io.Discard, answer.Body)
	if err == nil && (answer.StatusCode != http.StatusOK || n != size) {
		err = fmt.Errorf("status %d, %d bytes", answer.StatusCode, n)
	}
	return err
}

// until repeats what may fail at first.
func (m *machine) until(limit time.Duration, try func() error) error {
	for end := m.clock.Now().Add(limit); ; <-m.clock.After(5 * time.Millisecond) {
		err := try()
		if err == nil || m.clock.Now().After(end) {
			return err
		}
	}
}

// together is how many guests are started at once.
const together = 20

// qemu starts the tiny guest by hand, as a shell would.
func (m *machine) qemu(ctx context.Context) error {
	program, err := exec.LookPath("qemu-system-x86_64")
	if err != nil || m.guest == "" {
		m.absent("qemu-user-space", "ms", "no QEMU, or no -guest")
		m.absent("qemu-20-at-once", "ms", "no QEMU, or no -guest")
		return nil
	}
	err = m.time("qemu-user-space", "QEMU by hand, emulated, until the tiny guest starts its first program", func() error {
		return m.guests(ctx, program, 1)
	})
	if err != nil {
		return err
	}
	m.each, m.rounds = 0, 2 // each takes a minute
	return m.time("qemu-20-at-once", "the same, 20 started in a loop, until the last one is there", func() error { return m.guests(ctx, program, together) })
}

// guests starts n guests and waits until each has come to its user space.
func (m *machine) guests(ctx context.Context, program string, n int) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	var started []*exec.Cmd
	defer func() {
		cancel()
		for _, cmd := range started {
			_ = cmd.Wait() // reports the signal
		}
	}()
	logs := make([]string, n)
	for i := range n {
		logs[i] = filepath.Join(m.dir, fmt.Sprintf("guest-%d.log", i))
		if err := os.RemoveAll(logs[i]); err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, program, "-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35,accel=tcg", "-cpu", "max", "-m", "512", "-smp", "1",
			"-drive", "file="+m.guest+",format=qcow2,if=virtio,snapshot=on", "-serial", "file:"+logs[i], "-monitor", "none")
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			return err
		}
		started = append(started, cmd)
	}
	return m.until(5*time.Minute, func() error {
		for _, name := range logs {
			log, err := os.ReadFile(name)
			if err != nil || !bytes.Contains(log, []byte("Run /init as init process")) {
				return fmt.Errorf("a guest is not in its user space: %s", strings.TrimSpace(string(log[max(0, len(log)-200):])))
			}
		}
		return nil
	})
}
