package keypairs

import (
	"context"
	"crypto/ed25519"
	"crypto/md5"  //nolint:gosec // the fingerprint's format is MD5, not its security
	"crypto/sha1" //nolint:gosec // the fingerprint of certificates is SHA-1
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/outbox"
)

// Limits gives a user's limit of key pairs; -1 is none.
type Limits interface {
	KeyPairs(ctx context.Context, projectID, userID string) (int64, error)
}

// KeyPairs is the service behind the API. Safe for concurrent use.
type KeyPairs struct {
	store  store
	db     *db.DB
	clock  clock.Clock
	limits Limits
}

// New makes the service.
func New(d *db.DB, c clock.Clock, limits Limits) *KeyPairs {
	return &KeyPairs{store: store{d}, db: d, clock: c, limits: limits}
}

// Get loads a user's pair by its name.
func (s *KeyPairs) Get(ctx context.Context, user, name string) (*compute.KeyPair, error) {
	r, err := s.store.find(ctx, s.db, user, name)
	if err != nil {
		return nil, err
	}
	return r.pair(), nil
}

// Count tells how many pairs a user has.
func (s *KeyPairs) Count(ctx context.Context, user string) (int64, error) {
	return rows.Count(ctx, s.db, listing.Term{Column: "user_id", Values: []any{user}})
}

// Import adds a pair of which the user keeps the private half.
func (s *KeyPairs) Import(ctx context.Context, p *compute.KeyPair, project string, record event.Record) error {
	var err error
	if p.Fingerprint, err = fingerprint(p.Type, p.PublicKey); err != nil {
		return err
	}
	p.ID, p.CreatedAt = id.New(), clock.Micros(s.clock.Now())
	limit, err := s.limits.KeyPairs(ctx, project, p.UserID)
	if err != nil {
		return err
	}
	record.Object = p.ID
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if n, err := rows.Count(ctx, tx, owned(p.UserID, p.Name)...); err != nil || n > 0 {
			return taken(err, p.Name)
		}
		n, err := rows.Count(ctx, tx, listing.Term{Column: "user_id", Values: []any{p.UserID}})
		if err != nil {
			return err
		}
		if limit >= 0 && n >= limit {
			return fault.OverQuotaf("Quota exceeded, too many key pairs.")
		}
		if p.Serial, err = db.NextSerial(ctx, tx, "compute.keypair"); err != nil {
			return err
		}
		if err := rows.Insert(ctx, tx, &row{p.ID, p.Serial, p.UserID, p.Name, string(p.Type), p.PublicKey, p.Fingerprint, p.CreatedAt}); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}

func taken(err error, name string) error {
	if err != nil {
		return err
	}
	return fault.Conflictf("Key pair '%s' already exists.", name)
}

// Generate makes a pair, adds its public half and gives the private one: in
// OpenSSH's format, or PEM with a certificate as the public half. It is kept
// nowhere.
func (s *KeyPairs) Generate(ctx context.Context, p *compute.KeyPair, project string, record event.Record) (private string, err error) {
	if p.Type == compute.X509Key {
		if p.PublicKey, private, err = certify(p.UserID, s.clock.Now()); err != nil {
			return "", err
		}
		return private, s.Import(ctx, p, project, record)
	}
	secret := ed25519.NewKeyFromSeed(id.Bytes(ed25519.SeedSize))
	line, err := ssh.NewPublicKey(secret.Public())
	if err != nil {
		return "", fault.Internalf("encode a key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(secret, "Generated-by-Mek")
	if err != nil {
		return "", fault.Internalf("encode a key: %w", err)
	}
	p.PublicKey = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(line))) + " Generated-by-Mek"
	return string(pem.EncodeToMemory(block)), s.Import(ctx, p, project, record)
}

// Delete removes a user's pair. Servers that carry the key keep it.
func (s *KeyPairs) Delete(ctx context.Context, user, name string, record event.Record) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		r, err := s.store.find(ctx, tx, user, name)
		if err != nil {
			return err
		}
		if err := rows.Delete(ctx, tx, r.ID); err != nil {
			return err
		}
		record.Object = r.ID
		return outbox.Write(ctx, tx, record)
	})
}

// fingerprint checks a public key and gives MD5 (ssh) or SHA-1 (x509) of it,
// as bytes with colons.
func fingerprint(kind compute.KeyType, public string) (string, error) {
	if kind == compute.X509Key {
		block, _ := pem.Decode([]byte(public))
		if block == nil {
			return "", invalidKey("it is not a PEM certificate")
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return "", invalidKey("it is not a certificate")
		}
		sum := sha1.Sum(block.Bytes) //nolint:gosec // see the import
		return colons(sum[:]), nil
	}
	if strings.ContainsAny(strings.TrimSpace(public), "\r\n") {
		return "", invalidKey("it must be a single line")
	}
	key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(public))
	if err != nil || len(options) > 0 {
		return "", invalidKey("failed to generate fingerprint")
	}
	sum := md5.Sum(key.Marshal()) //nolint:gosec // see the import
	return colons(sum[:]), nil
}

func invalidKey(why string) error { return fault.Invalidf("Keypair data is invalid: %s", why) }

func colons(sum []byte) string {
	parts := make([]string, len(sum))
	for i, b := range sum {
		parts[i] = hex.EncodeToString([]byte{b})
	}
	return strings.Join(parts, ":")
}
