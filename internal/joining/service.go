package joining

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/pki"
)

// How long a token works.
const (
	DefaultLifetime = time.Hour
	MaxLifetime     = 24 * time.Hour
)

// Settings are what a host must know of its cloud.
type Settings struct {
	API         []string `json:"api"`     // https://HOST:PORT of the servers
	Servers     []string `json:"servers"` // HOST:PORT of their buses
	Streams     []string `json:"streams"` // HOST:PORT of their stream listeners, in the same order
	Region      string   `json:"region"`
	PublicRange string   `json:"public_range"`
	Physical    string   `json:"physical_network"`
	DNSDomain   string   `json:"dns_domain"`
}

// Config is what the service stands on.
type Config struct {
	DB       *db.DB
	Clock    clock.Clock
	Log      *slog.Logger
	Settings Settings
	// Home is the host on the server's own machine.
	Home string
	// Authority loads the certificate authority as it is now.
	Authority func() (*pki.Authority, error)
}

// Service is the server's end. Safe for concurrent use.
type Service struct {
	cfg  Config
	wake chan struct{} // a host was removed

	mu  sync.Mutex
	cut map[string]bool // removed a moment ago, to be cut off
}

// New makes it.
func New(cfg Config) *Service {
	return &Service{cfg: cfg, wake: make(chan struct{}, 1), cut: map[string]bool{}}
}

// Request is what a machine says to join.
type Request struct {
	ID     string `json:"id"` // of the token
	Secret string `json:"secret"`
	Host   string `json:"host"`
	CSR    []byte `json:"csr"` // DER
}

// Answer is what it gets.
type Answer struct {
	Host     string   `json:"host"`
	Chain    []byte   `json:"chain"` // certificate and intermediate, PEM
	Root     []byte   `json:"root"`  // PEM
	Settings Settings `json:"settings"`
}

// validHost is a host name: it becomes part of file names, certificates and OVN's chassis.
var validHost = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?$`)

// Mint makes a token.
func (s *Service) Mint(ctx context.Context, lifetime time.Duration, by event.Record) (Token, time.Time, error) {
	if len(s.cfg.Settings.API) == 0 {
		return Token{}, time.Time{}, fault.Conflictf("This cloud has no address that other machines reach.")
	}
	if lifetime <= 0 || lifetime > MaxLifetime {
		return Token{}, time.Time{}, fault.Invalidf("A token works for at most %s.", MaxLifetime)
	}
	authority, err := s.cfg.Authority()
	if err != nil {
		return Token{}, time.Time{}, err
	}
	all, err := s.settings(ctx)
	if err != nil {
		return Token{}, time.Time{}, err
	}
	t := Token{API: all.API, ID: id.Hex(), Secret: id.Secret(32)}
	if t.Fingerprint, err = pki.Fingerprint(authority.RootPEM()); err != nil {
		return Token{}, time.Time{}, err
	}
	now := s.cfg.Clock.Now()
	end := now.Add(lifetime)
	by.Service, by.Action, by.Kind, by.Object = "compute", "create", "join-token", t.ID
	err = s.cfg.DB.Write(ctx, func(tx *db.Tx) error {
		if err := dropExpired(ctx, tx, clock.Micros(now)); err != nil {
			return err
		}
		if err := tokens.Insert(ctx, tx, &tokenRow{ID: t.ID, SecretHash: hash(t.Secret), ExpiresAt: clock.Micros(end)}); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, by)
	})
	return t, end, err
}

func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// refused answers everything that is wrong with a token or key alike.
func refused(why string) error {
	return fault.New(fault.Forbidden, "The token is wrong, was used, or has expired.").Because(fmt.Errorf("%s", why))
}

// Join lets a machine in. Asked again with the same token and key it answers
// the same, since its first answer may have been lost.
func (s *Service) Join(ctx context.Context, r Request) (Answer, error) {
	key, err := pki.RequestKeyHash(r.CSR)
	if err != nil {
		return Answer{}, fault.Invalidf("The certificate request cannot be used.").Because(err)
	}
	if !validHost.MatchString(r.Host) {
		return Answer{}, fault.Invalidf("%q is no name for a host: letters, digits, dashes and dots.", r.Host)
	}
	now := clock.Micros(s.cfg.Clock.Now())
	if _, err := s.proven(tokens.Get(ctx, s.cfg.DB, r.ID))(r, key, now); err != nil {
		return Answer{}, err // strangers do not come as far as a transaction
	}
	err = s.cfg.DB.Write(ctx, func(tx *db.Tx) error {
		t, err := s.proven(tokens.GetForUpdate(ctx, tx, r.ID))(r, key, now)
		if err != nil {
			return err
		}
		return s.admit(ctx, tx, t, r.Host, key, now)
	})
	if err != nil {
		return Answer{}, err
	}
	s.cfg.Log.Info("host joined", "host", r.Host)
	return s.answer(ctx, r.Host, r.CSR)
}

// proven checks a request by the token it names.
func (s *Service) proven(t *tokenRow, err error) func(r Request, key string, now int64) (*tokenRow, error) {
	return func(r Request, key string, now int64) (*tokenRow, error) {
		switch {
		case fault.Is(err, fault.NotFound):
			return nil, refused("no such token")
		case err != nil:
			return nil, err
		case subtle.ConstantTimeCompare([]byte(t.SecretHash), []byte(hash(r.Secret))) != 1:
			return nil, refused("wrong secret")
		case t.ExpiresAt < now:
			return nil, refused("expired")
		case t.UsedBy != "" && t.UsedBy != key:
			return nil, refused("used")
		}
		return t, nil
	}
}

func (s *Service) admit(ctx context.Context, tx *db.Tx, t *tokenRow, name, key string, now int64) error {
	have, err := hosts.GetForUpdate(ctx, tx, name)
	if err == nil && have.KeyHash == key {
		return nil
	}
	if err == nil || name == s.cfg.Home {
		return fault.Conflictf("There is a host %s in this cloud already. Remove it first, or join under another name.", name)
	}
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	if t.UsedBy != "" {
		return refused("used, and the host was removed since")
	}
	if other, err := byKey(ctx, tx, key); err == nil {
		return fault.Conflictf("This machine belongs to the cloud already, as %s.", other.Name)
	} else if !fault.Is(err, fault.NotFound) {
		return err
	}
	if err := hosts.Insert(ctx, tx, &hostRow{Name: name, KeyHash: key, JoinedAt: now, RenewedAt: now}); err != nil {
		return err
	}
	t.UsedBy = key
	if err := tokens.Update(ctx, tx, t); err != nil {
		return err
	}
	return outbox.Write(ctx, tx, event.Record{Service: "compute", Action: "join", Kind: "host", Object: name})
}

// Renew gives the owner of a key that belongs to the cloud a new certificate.
func (s *Service) Renew(ctx context.Context, csr []byte) (Answer, error) {
	key, err := pki.RequestKeyHash(csr)
	if err != nil {
		return Answer{}, fault.Invalidf("The certificate request cannot be used.").Because(err)
	}
	stranger := fault.New(fault.Forbidden, "This machine does not belong to the cloud.")
	if _, err := byKey(ctx, s.cfg.DB, key); fault.Is(err, fault.NotFound) {
		return Answer{}, stranger
	}
	now := clock.Micros(s.cfg.Clock.Now())
	var name string
	err = s.cfg.DB.Write(ctx, func(tx *db.Tx) error {
		h, err := byKey(ctx, tx, key)
		if fault.Is(err, fault.NotFound) {
			return stranger
		}
		if err != nil {
			return err
		}
		name, h.RenewedAt = h.Name, now
		return hosts.Update(ctx, tx, h)
	})
	if err != nil {
		return Answer{}, err
	}
	return s.answer(ctx, name, csr)
}

func (s *Service) answer(ctx context.Context, host string, csr []byte) (Answer, error) {
	authority, err := s.cfg.Authority()
	if err != nil {
		return Answer{}, err
	}
	chain, err := authority.SignAgent(csr, host)
	if err != nil {
		return Answer{}, err
	}
	all, err := s.settings(ctx)
	return Answer{Host: host, Chain: chain, Root: authority.RootPEM(), Settings: all}, err
}

// AgentOf names the host that a verified certificate was made for.
func AgentOf(cert *x509.Certificate) (string, error) {
	role, name, err := pki.Peer(cert)
	if err == nil && role != pki.RoleAgent {
		err = fmt.Errorf("the certificate is of a %s", role)
	}
	return name, err
}

// homeKey stands for any key: certificates of hosts on servers' own machines
// are made anew by the supervisor, with new keys.
func homeKey(name string) string { return "home of " + name }

// AtHome puts the host on this server's machine on the list, for the other
// servers of the cloud. A host that joined under that name loses it.
func (s *Service) AtHome(ctx context.Context) error {
	now := clock.Micros(s.cfg.Clock.Now())
	return s.cfg.DB.Write(ctx, func(tx *db.Tx) error {
		return hosts.Upsert(ctx, tx, &hostRow{Name: s.cfg.Home, KeyHash: homeKey(s.cfg.Home), JoinedAt: now, RenewedAt: now})
	})
}

// Admit names the host that a verified certificate of the bus belongs to, if
// it is one of the cloud's now.
func (s *Service) Admit(cert *x509.Certificate) (string, error) {
	name, err := AgentOf(cert)
	if err != nil || name == s.cfg.Home {
		return name, err // that one is made by the supervisor on this machine; nobody else is given this name
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	h, err := hosts.Get(ctx, s.cfg.DB, name)
	if fault.Is(err, fault.NotFound) || err == nil && h.KeyHash != pki.KeyHash(cert) && h.KeyHash != homeKey(name) {
		return "", fmt.Errorf("host %s does not belong to this cloud", name)
	}
	return name, err
}

// Names lists the hosts that joined, in order.
func (s *Service) Names(ctx context.Context) ([]string, error) {
	found, err := hosts.List(ctx, s.cfg.DB, listing.Query{Order: []listing.Order{{Column: "name"}}})
	out := make([]string, 0, len(found))
	for _, h := range found {
		out = append(out, h.Name)
	}
	return out, err
}

// Removed takes a host off the list, in the transaction that removes it from
// the cloud. One that is not on it is no error.
func (s *Service) Removed(ctx context.Context, tx *db.Tx, name string) error {
	err := hosts.Delete(ctx, tx, name)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	tx.AfterCommit(func() {
		s.mu.Lock()
		s.cut[name] = true
		s.mu.Unlock()
		select {
		case s.wake <- struct{}{}:
		default: // a wake-up is waiting already
		}
	})
	return err
}

// Bus is what cuts hosts off.
type Bus interface {
	Connected() []string
	Drop(host string)
}

// watchEvery bounds how long a host that another server removed stays connected.
const watchEvery = time.Second

// Watch cuts off hosts that do not belong to the cloud, until ctx ends.
func (s *Service) Watch(ctx context.Context, bus Bus) error {
	said := clock.Elapsed(s.cfg.Clock)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-s.cfg.Clock.After(watchEvery):
		}
		if now := clock.Elapsed(s.cfg.Clock); now-said >= announceEvery {
			said = now
			if err := s.Announce(ctx); err != nil {
				s.cfg.Log.Warn("hosts are not told where this server is; again in an hour", "error", err)
			}
		}
		if err := s.enforce(ctx, bus); err != nil && ctx.Err() == nil {
			s.cfg.Log.Warn("who belongs to the cloud cannot be read; trying again", "error", err)
		}
	}
}

func (s *Service) enforce(ctx context.Context, bus Bus) error {
	s.mu.Lock()
	gone := s.cut
	s.cut = map[string]bool{}
	s.mu.Unlock()
	connected := bus.Connected()
	if len(connected) == 0 || len(connected) == 1 && connected[0] == s.cfg.Home {
		return nil
	}
	names, err := s.Names(ctx)
	if err != nil {
		return err
	}
	member := map[string]bool{s.cfg.Home: true}
	for _, n := range names {
		member[n] = true
	}
	for _, n := range connected {
		if gone[n] || !member[n] {
			s.cfg.Log.Warn("host cut off: it does not belong to the cloud", "host", n)
			bus.Drop(n)
		}
	}
	return nil
}
