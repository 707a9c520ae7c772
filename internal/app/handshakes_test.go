package app

import (
	"crypto/tls"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/config"
)

// TestHandshakesGoInTurns: of many that connect at once one has its place at a
// time, and each comes to it.
func TestHandshakesGoInTurns(t *testing.T) {
	t.Parallel()
	a := &authorities{t, t.TempDir()}
	cfg := config.Default(a.path("ours")).Server()
	if _, err := a.open("ours", clock.Real{}.Now()).EnsureDoor(cfg.CertFile, cfg.KeyFile, here); err != nil {
		t.Fatal(err)
	}
	turns := NewHandshakes(2)
	var mu sync.Mutex
	held, most, all := 0, 0, 0
	turns.after = func(d time.Duration, leave func()) *time.Timer {
		mu.Lock()
		held, all = held+1, all+1
		most = max(most, held)
		mu.Unlock()
		return time.AfterFunc(d, func() {
			mu.Lock()
			held--
			mu.Unlock()
			leave()
		})
	}
	l, err := Listen(cfg, "127.0.0.1:0", 0, turns)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_ = c.(*tls.Conn).Handshake() // the client tells
				_ = c.Close()
			}()
		}
	}()
	const clients = 20
	fails := make(chan error, clients)
	for range clients {
		go func() {
			c, err := net.Dial("tcp", l.Addr().String())
			if err == nil {
				err = tls.Client(c, &tls.Config{InsecureSkipVerify: true}).Handshake() // who answers does not matter here
				c.Close()
			}
			fails <- err
		}()
	}
	for range clients {
		if err := <-fails; err != nil {
			t.Error(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if most != 1 || all != clients {
		t.Errorf("%d of %d handshakes had a turn, %d at a time", all, clients, most)
	}
}
