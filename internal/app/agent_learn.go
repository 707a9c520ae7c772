package app

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/joining"
	"github.com/mekcloud/mek/internal/pki"
)

// serversFile remembers, in the agent's folder, where servers were.
const serversFile = joining.KnownFile

// How often a host asks where the servers are: soon when it has not heard yet.
const (
	learnEvery = time.Minute
	learnSoon  = 2 * time.Second
)

// maxServers bounds what is read of an answer.
const maxServers = 64 << 10

// memberships are the connections with servers that nobody wrote into the
// settings of this host.
type memberships struct {
	file    string
	own     string // of the server on this machine, which the settings lead to
	relay   *hostlink.Relay
	log     *slog.Logger
	connect func(ctx context.Context, address string) error

	mu      sync.Mutex
	leads   map[string]string // address to the name of the server that answered there
	learned map[string]context.CancelFunc
	work    sync.WaitGroup
}

// met notes which server answers at an address.
func (m *memberships) met(address string, s tls.ConnectionState) {
	if len(s.PeerCertificates) == 0 {
		return
	}
	if role, name, err := pki.Peer(s.PeerCertificates[0]); err == nil && role == pki.RoleServer {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.leads[address] = name
	}
}

// learn connects with the servers that are known, and asks for others, until ctx ends.
func (m *memberships) learn(ctx context.Context) error {
	defer m.work.Wait()
	m.follow(ctx, joining.Known(m.file))
	for pause := learnSoon; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-clock.Real{}.After(pause):
		}
		list, err := m.ask(ctx)
		if err != nil || len(list) == 0 { // no server answers, or none that tells
			pause = learnSoon
			if err == nil || fault.Is(err, fault.NotFound) {
				pause = learnEvery
			}
			continue
		}
		pause = learnEvery
		if !slices.Equal(list, joining.Known(m.file)) {
			if err := joining.Remember(m.file, list); err != nil {
				m.log.Warn("where the servers are cannot be remembered", "error", err)
			}
		}
		m.follow(ctx, list)
	}
}

func (m *memberships) ask(ctx context.Context) ([]joining.Door, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	in, err := m.relay.Open(ctx, joining.StreamServers, struct{}{})
	if err != nil {
		return nil, err
	}
	defer in.Close() // only read
	text, err := io.ReadAll(io.LimitReader(in, maxServers))
	if err != nil {
		return nil, fault.Unavailablef("the list of servers was cut off").Because(err)
	}
	var all joining.Servers
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fault.Internalf("list of servers: %w", err)
	}
	return all.Servers, nil
}

// follow connects with servers that no address of the settings leads to, and
// ends connections with those that are gone.
func (m *memberships) follow(ctx context.Context, list []joining.Door) {
	m.mu.Lock()
	defer m.mu.Unlock()
	want := map[string]bool{}
	for _, d := range list {
		if d.Bus != "" && d.Name != m.own && !m.otherwise(d) {
			want[d.Bus] = true
		}
	}
	for address, end := range m.learned {
		if !want[address] {
			end()
			delete(m.learned, address)
			delete(m.leads, address)
		}
	}
	for address := range want {
		if m.learned[address] != nil {
			continue
		}
		one, end := context.WithCancel(ctx)
		m.learned[address] = end
		m.log.Info("another server of the cloud", "server", address)
		m.work.Go(func() {
			if err := m.connect(one, address); err != nil && one.Err() == nil {
				m.log.Warn("no connection with a server", "server", address, "error", err)
			}
		})
	}
}

// otherwise tells whether an address of the settings leads to a server. The
// caller holds mu.
func (m *memberships) otherwise(d joining.Door) bool {
	for address, name := range m.leads {
		if name == d.Name && m.learned[address] == nil {
			return true
		}
	}
	return false
}
