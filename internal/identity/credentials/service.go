package credentials

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

const typeEC2 = "ec2"

// key is the blob of an EC2 credential.
type key struct {
	Access  string  `json:"access"`
	Secret  string  `json:"secret"`
	TrustID *string `json:"trust_id"`
	// AppCredID is the application credential that made the key, which bounds it.
	AppCredID string `json:"app_cred_id,omitempty"`
}

// Service keeps credentials. Safe for concurrent use.
type Service struct {
	db      *db.DB
	clock   clock.Clock
	changes identity.Changes
	store   store
}

// New makes the service.
func New(d *db.DB, c clock.Clock, ch identity.Changes, seal Sealer) *Service {
	return &Service{d, c, ch, newStore(seal)}
}

// Get loads a credential; NotFound.
func (s *Service) Get(ctx context.Context, id string) (*identity.Credential, error) {
	return s.store.get(ctx, s.db, id)
}

// List loads credentials.
func (s *Service) List(ctx context.Context, q listing.Query) ([]*identity.Credential, error) {
	return s.store.list(ctx, s.db, q)
}

// Blobs gives a user's secrets of a kind.
func (s *Service) Blobs(ctx context.Context, userID, kind string) ([]string, error) {
	all, err := s.List(ctx, listing.Query{}.And("user_id", listing.Eq, userID).And("type", listing.Eq, kind))
	out := make([]string, len(all))
	for i, c := range all {
		out[i] = c.Blob
	}
	return out, err
}

// hashAccess is the id of an EC2 credential.
func hashAccess(access string) string {
	sum := sha256.Sum256([]byte(access))
	return hex.EncodeToString(sum[:])
}

// Create adds a credential. Invalid: the blob of an EC2 key is not one, it
// names no project, or its user or project does not exist. Conflict: taken.
func (s *Service) Create(ctx context.Context, c identity.Credential) (*identity.Credential, error) {
	c.ID, c.CreatedAt = id.Hex(), s.clock.Now()
	if c.Type == typeEC2 {
		var k key
		if err := json.Unmarshal([]byte(c.Blob), &k); err != nil || k.Access == "" {
			return nil, fault.Invalidf("Invalid blob in credential")
		}
		if c.ProjectID == "" {
			return nil, fault.Invalidf("Expecting to find project_id in credential.")
		}
		c.ID = hashAccess(k.Access)
	}
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		n, err := s.store.table.Count(ctx, tx, listing.Term{Column: "id", Op: listing.Eq, Values: []any{c.ID}})
		if err != nil {
			return err
		}
		if n > 0 {
			return fault.Conflictf("Conflict occurred attempting to store credential - Duplicate entry.")
		}
		if err := s.store.table.Insert(ctx, tx, s.store.toRow(&c)); err != nil {
			if fault.Is(err, fault.Conflict) { // not the id: a foreign key
				return fault.Invalidf("The user or project of the credential does not exist.").Because(err)
			}
			return err
		}
		return s.changes.Changed(ctx, tx, identity.Change("create", "credential", c.ID))
	})
	return &c, err
}

// Update changes a credential; fn edits it inside the transaction. anyone says
// that the caller may act for every user. Invalid: otherwise a key of another
// user or project would come of it, or one that outgrows its delegation.
func (s *Service) Update(ctx context.Context, id string, anyone bool, fn func(*identity.Credential)) (*identity.Credential, error) {
	var out *identity.Credential
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		c, err := s.store.get(ctx, tx, id)
		if err != nil {
			return err
		}
		old := *c
		fn(c)
		out = c
		if err := sameKey(&old, c, anyone); err != nil {
			return err
		}
		if err := s.store.table.Update(ctx, tx, s.store.toRow(c)); err != nil {
			if fault.Is(err, fault.Conflict) {
				return fault.Invalidf("The user or project of the credential does not exist.").Because(err)
			}
			return err
		}
		return s.changes.Changed(ctx, tx, identity.Change("update", "credential", id))
	})
	return out, err
}

// sameKey keeps an EC2 credential what it was: its owner, its project and the
// delegation it was made with. Its id stays the digest of the first access key,
// so that a changed one opens nothing.
func sameKey(old, now *identity.Credential, anyone bool) error {
	if old.Type != typeEC2 && now.Type != typeEC2 {
		return nil
	}
	var a, b map[string]any
	if json.Unmarshal([]byte(old.Blob), &a) != nil || json.Unmarshal([]byte(now.Blob), &b) != nil {
		return fault.Invalidf("Invalid blob in credential")
	}
	for _, name := range []string{"trust_id", "app_cred_id", "access_token_id"} {
		if a[name] != b[name] {
			return fault.Invalidf("%s can not be updated for credential", name)
		}
	}
	if anyone {
		return nil
	}
	if old.Type != now.Type || old.UserID != now.UserID || old.ProjectID != now.ProjectID {
		return fault.Invalidf("The type, user and project of an EC2 credential can not be updated")
	}
	return nil
}

// Delete removes a credential; NotFound.
func (s *Service) Delete(ctx context.Context, id string) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if err := s.store.table.Delete(ctx, tx, id); err != nil {
			if fault.Is(err, fault.NotFound) {
				return notFound(id)
			}
			return err
		}
		return s.changes.Changed(ctx, tx, identity.Change("delete", "credential", id))
	})
}

// CreateKey makes an EC2 key of a user for a project. trust and appCredential
// are what the token that asked was made from, or empty: they bound the key.
func (s *Service) CreateKey(ctx context.Context, user, project, trust, appCredential string) (*identity.Credential, error) {
	k := key{Access: id.Hex(), Secret: id.Hex(), AppCredID: appCredential}
	if trust != "" {
		k.TrustID = &trust
	}
	blob, err := json.Marshal(k)
	if err != nil {
		return nil, fault.Internalf("encode key: %w", err)
	}
	return s.Create(ctx, identity.Credential{UserID: user, ProjectID: project, Type: typeEC2, Blob: string(blob)})
}

// Key loads a user's EC2 credential by its access key; NotFound, also for
// another user's.
func (s *Service) Key(ctx context.Context, user, access string) (*identity.Credential, error) {
	c, err := s.Get(ctx, hashAccess(access))
	if err != nil {
		return nil, err
	}
	if c.Type != typeEC2 || c.UserID != user {
		return nil, notFound(access)
	}
	return c, nil
}
