package federation

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity/saml"
)

type keyRow struct {
	ID          string `db:"id"`
	Certificate string `db:"certificate"` // PEM
	Sealed      string `db:"sealed"`      // the key's PEM
	CreatedAt   int64  `db:"created_at"`
}

type store struct {
	seal Sealer
	keys *db.Table[keyRow]
}

func newStore(seal Sealer) store {
	return store{seal, db.NewTable[keyRow]("identity_saml_keys", "id", "SAML key")}
}

// taken notes an assertion that must not be taken again; false: it was taken
// before. Those that have run out are forgotten.
func (store) taken(ctx context.Context, tx *db.Tx, id string, now, until time.Time) (bool, error) {
	if _, err := tx.ExecContext(ctx, `DELETE FROM identity_assertions_taken WHERE until <= $1`, clock.Micros(now)); err != nil {
		return false, db.Translate(err, "forget assertions")
	}
	done, err := tx.ExecContext(ctx, `INSERT INTO identity_assertions_taken (id, until) VALUES ($1, $2) ON CONFLICT DO NOTHING`, id, clock.Micros(until))
	if err != nil {
		return false, db.Translate(err, "note assertion")
	}
	n, err := done.RowsAffected()
	return n > 0, err
}

const (
	theKey    = "1" // there is one
	sealedKey = "federation-saml-key"
)

// keys are what this cloud signs SAML with. A cloud without federation has none.
type keys struct {
	mu   sync.Mutex
	cert *x509.Certificate
	key  *rsa.PrivateKey
}

// Prepare makes the key that this cloud signs SAML with, the same for all its
// servers. Operators and administrators cause it, never strangers: it takes a second
// of processor time, and a row.
func (s *Service) Prepare(ctx context.Context) error {
	_, _, err := s.signer(ctx)
	if fault.Is(err, fault.NotFound) {
		err = s.newKey(ctx)
	}
	return err
}

// signer gives this cloud's key for SAML. NotFound: nobody has caused one.
func (s *Service) signer(ctx context.Context) (*x509.Certificate, *rsa.PrivateKey, error) {
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	if s.keys.key != nil {
		return s.keys.cert, s.keys.key, nil
	}
	r, err := s.store.keys.Get(ctx, s.DB, theKey)
	if fault.Is(err, fault.NotFound) {
		err = fault.NotFoundf("This cloud vouches for nobody: it knows no service provider.").Because(err)
	}
	if err != nil {
		return nil, nil, err
	}
	sealed, err := base64.StdEncoding.DecodeString(r.Sealed)
	if err != nil {
		return nil, nil, err
	}
	text, err := s.Sealer.Open(sealedKey, sealed)
	if err != nil {
		return nil, nil, err
	}
	cert, key, err := saml.ParseKeyPair([]byte(r.Certificate), text)
	if err == nil {
		s.keys.cert, s.keys.key = cert, key
	}
	return cert, key, err
}

// newKey makes the key, also if whoever caused it does not wait for it.
func (s *Service) newKey(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	now := s.Clock.Now()
	cert, key, err := saml.NewKeyPair(now)
	if err != nil {
		return err
	}
	fresh := &keyRow{theKey, string(cert), base64.StdEncoding.EncodeToString(s.Sealer.Seal(sealedKey, key)), clock.Micros(now)}
	return s.DB.Write(ctx, func(tx *db.Tx) error {
		_, err := s.store.keys.InsertUnless(ctx, tx, fresh, "id") // another server may have been earlier
		return err
	})
}
