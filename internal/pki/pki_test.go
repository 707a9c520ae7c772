package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
)

type fixture struct {
	dir    string
	master []byte
	clock  *clock.Fake
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{dir: t.TempDir(), clock: clock.NewFake(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))}
	var err error
	if f.master, err = MasterKey(filepath.Join(f.dir, "secrets", "master.key")); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) authority(t *testing.T) *Authority {
	t.Helper()
	a, err := OpenAuthority(FilesIn(f.dir), f.master, "atlas", f.clock)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (f *fixture) path(name string) string { return filepath.Join(f.dir, name) }

var doorNames = Names{Hosts: []string{"atlas", "localhost"}, Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}}

func (f *fixture) door(t *testing.T, names Names, want bool) {
	t.Helper()
	changed, err := f.authority(t).EnsureDoor(f.path("d.crt"), f.path("d.key"), names)
	if err != nil || changed != want {
		t.Fatalf("changed %v, want %v, %v", changed, want, err)
	}
}

func TestDoorIsRenewedWhenItMust(t *testing.T) {
	f := newFixture(t)
	f.door(t, doorNames, true)
	f.door(t, doorNames, false)
	more := Names{Hosts: doorNames.Hosts, Addresses: append(doorNames.Addresses, netip.MustParseAddr("192.0.2.7"))}
	f.door(t, more, true)
	f.door(t, doorNames, false) // fewer names are no reason
	f.clock.Advance(DoorLife/2 + time.Hour)
	f.door(t, doorNames, true)
	if err := os.Chmod(f.path("d.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	f.door(t, doorNames, true)
}

func TestDoorIsTrustedByRootAlone(t *testing.T) {
	f := newFixture(t)
	f.door(t, doorNames, true)
	pair, err := LoadPair(f.path("d.crt"), f.path("d.key"), f.clock)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := Pool(f.path("tls/ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"atlas", "localhost", "127.0.0.1", "::1"} {
		if err := handshake(t, f, &tls.Config{GetCertificate: pair.ServerCertificate}, &tls.Config{RootCAs: pool, ServerName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := handshake(t, f, &tls.Config{GetCertificate: pair.ServerCertificate}, &tls.Config{RootCAs: pool, ServerName: "other"}); err == nil {
		t.Error("a foreign name was accepted")
	}
}

// handshake runs both ends over a pipe and returns the client's error.
func handshake(t *testing.T, f *fixture, server, client *tls.Config) error {
	t.Helper()
	server.Time, client.Time = f.clock.Now, f.clock.Now
	c, s := net.Pipe()
	done := make(chan struct{})
	go func() { _ = tls.Server(s, server).Handshake(); close(done) }()
	err := tls.Client(c, client).Handshake()
	_ = c.Close()
	<-done
	return err
}

func TestBusCertificatesSayWhoItIs(t *testing.T) {
	f := newFixture(t)
	a := f.authority(t)
	for _, want := range []bool{true, false} {
		changed, err := a.EnsureBus(f.path("a.crt"), f.path("a.key"), RoleAgent, "host-1", Names{})
		if err != nil || changed != want {
			t.Fatalf("changed %v, want %v, %v", changed, want, err)
		}
	}
	cert, err := readCert(f.path("a.crt"))
	if err != nil {
		t.Fatal(err)
	}
	role, host, err := Peer(cert)
	if err != nil || role != RoleAgent || host != "host-1" || cert.NotAfter.Sub(f.clock.Now()) > BusLife {
		t.Fatalf("%s %s %v until %v", role, host, err, cert.NotAfter)
	}
	if changed, err := a.EnsureBus(f.path("a.crt"), f.path("a.key"), RoleServer, "host-1", Names{}); err != nil || !changed {
		t.Fatalf("an agent's certificate serves as a server's: %v", err)
	}
	if _, _, err := Peer(&x509.Certificate{}); err == nil {
		t.Fatal("a certificate without identity is accepted")
	}
}

func TestAgentRenewsByRequest(t *testing.T) {
	f := newFixture(t)
	a := f.authority(t)
	key, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(random{}, &x509.CertificateRequest{DNSNames: []string{"evil.example"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := a.SignAgent(csr, "host-2")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.path("r.crt"), chain, 0o600); err != nil {
		t.Fatal(err)
	}
	cert, err := readCert(f.path("r.crt"))
	if err != nil {
		t.Fatal(err)
	}
	if _, host, err := Peer(cert); err != nil || host != "host-2" || len(cert.DNSNames) != 0 {
		t.Fatalf("%s %v %v", host, cert.DNSNames, err)
	}
	if _, err := a.SignAgent([]byte("nonsense"), "host-2"); err == nil {
		t.Fatal("nonsense was signed")
	}
}

func TestKeysAreSealedAndPrivate(t *testing.T) {
	f := newFixture(t)
	f.door(t, doorNames, true)
	other := bytes.Repeat([]byte{7}, MasterKeySize)
	if _, err := OpenAuthority(FilesIn(f.dir), other, "atlas", f.clock); err == nil {
		t.Fatal("another master key opens the authority")
	}
	err := filepath.Walk(f.dir, func(path string, fi os.FileInfo, err error) error {
		if err != nil || fi.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.Contains(b, []byte("PRIVATE KEY")) && path != f.path("d.key") {
			t.Errorf("%s holds an open key", path)
		}
		if filepath.Ext(path) != ".crt" && fi.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, fi.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestIntermediateIsReplacedAtHalfItsLife(t *testing.T) {
	f := newFixture(t)
	before := f.authority(t).cert.SerialNumber
	f.clock.Advance(intermediateLife/2 + time.Hour)
	if f.authority(t).cert.SerialNumber.Cmp(before) == 0 {
		t.Fatal("was kept")
	}
	f.door(t, doorNames, true)
}

func TestPairKeepsWhatWorks(t *testing.T) {
	f := newFixture(t)
	f.door(t, doorNames, true)
	pair, err := LoadPair(f.path("d.crt"), f.path("d.key"), f.clock)
	if err != nil {
		t.Fatal(err)
	}
	first, err := pair.get()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.path("d.crt"), []byte("half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.clock.Advance(2 * time.Second)
	if kept, err := pair.get(); err != nil || kept != first {
		t.Fatalf("lost the pair that works: %v", err)
	}
	f.door(t, doorNames, true)
	f.clock.Advance(2 * time.Second)
	if now, err := pair.get(); err != nil || now == first {
		t.Fatalf("did not notice the new pair: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	s, err := NewSealer(make([]byte, MasterKeySize), "test")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.Seal("x", []byte("secret")))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if secret, err := s.Open("y", b); err == nil {
			t.Fatalf("opened %q under another name", secret)
		}
	})
}
