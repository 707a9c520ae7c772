package identityproviders

import (
	"context"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

type row struct {
	ID               string  `db:"id"`
	DomainID         string  `db:"domain_id"`
	Enabled          bool    `db:"enabled"`
	Description      *string `db:"description"`
	AuthorizationTTL *int    `db:"authorization_ttl"`
	CreatedAt        int64   `db:"created_at"`
}

// nameRow is a row of a name that a provider has elsewhere.
type nameRow struct {
	RemoteID   string `db:"remote_id"`
	ProviderID string `db:"provider_id"`
}

type protocolRow struct {
	ID                string  `db:"id"`
	ProviderID        string  `db:"provider_id"`
	Name              string  `db:"name"`
	MappingID         string  `db:"mapping_id"`
	RemoteIDAttribute *string `db:"remote_id_attribute"`
	CreatedAt         int64   `db:"created_at"`
}

func toRow(p *identity.IdentityProvider) *row {
	return &row{p.ID, p.DomainID, p.Enabled, p.Description, p.AuthorizationTTL, clock.Micros(p.CreatedAt)}
}

func (r *row) provider(remote []string) *identity.IdentityProvider {
	return &identity.IdentityProvider{ID: r.ID, DomainID: r.DomainID, Enabled: r.Enabled, Description: r.Description,
		AuthorizationTTL: r.AuthorizationTTL, RemoteIDs: remote, CreatedAt: clock.FromMicros(r.CreatedAt)}
}

func (r *protocolRow) protocol() *identity.Protocol {
	return &identity.Protocol{IdentityProviderID: r.ProviderID, ID: r.Name, MappingID: r.MappingID, RemoteIDAttribute: r.RemoteIDAttribute}
}

type store struct {
	providers *db.Table[row]
	names     *db.Table[nameRow]
	protocols *db.Table[protocolRow]
}

func newStore() store {
	return store{db.NewTable[row]("identity_providers", "id", "Identity provider"), db.NewTable[nameRow]("identity_provider_names", "remote_id", "Remote id"),
		db.NewTable[protocolRow]("identity_protocols", "id", "Federated protocol")}
}

func eq(column, value string) listing.Term {
	return listing.Term{Column: column, Op: listing.Eq, Values: []any{value}}
}

func missing(id string) error { return fault.NotFoundf("Could not find Identity Provider: %s.", id) }

func (s store) get(ctx context.Context, q db.Querier, id string) (*identity.IdentityProvider, error) {
	r, err := s.providers.Get(ctx, q, id)
	if fault.Is(err, fault.NotFound) {
		return nil, missing(id)
	}
	if err != nil {
		return nil, err
	}
	names, err := s.remote(ctx, q, eq("provider_id", id))
	return r.provider(names[id]), err
}

// remote gives the remote ids of providers, sorted.
func (s store) remote(ctx context.Context, q db.Querier, terms ...listing.Term) (map[string][]string, error) {
	rows, err := s.names.List(ctx, q, listing.Query{Where: terms})
	out := map[string][]string{}
	for _, r := range rows {
		out[r.ProviderID] = append(out[r.ProviderID], r.RemoteID)
	}
	return out, err
}

func (s store) list(ctx context.Context, q db.Querier, query listing.Query) ([]*identity.IdentityProvider, error) {
	rows, err := s.providers.List(ctx, q, query)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	ids := make([]any, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	names, err := s.remote(ctx, q, listing.Term{Column: "provider_id", Op: listing.In, Values: ids})
	if err != nil {
		return nil, err
	}
	out := make([]*identity.IdentityProvider, len(rows))
	for i, r := range rows {
		out[i] = r.provider(names[r.ID])
	}
	return out, nil
}

// name writes the remote ids of a provider in place of those it had. Conflict:
// another provider has one.
func (s store) name(ctx context.Context, tx *db.Tx, p *identity.IdentityProvider) error {
	if _, err := s.names.DeleteWhere(ctx, tx, eq("provider_id", p.ID)); err != nil {
		return err
	}
	for _, remote := range p.RemoteIDs { // one by one, so that an error tells which
		err := s.names.Insert(ctx, tx, &nameRow{remote, p.ID})
		if fault.Is(err, fault.Conflict) {
			return fault.Conflictf("Conflict occurred attempting to store identity_provider - Duplicate remote ID: %s.", remote).Because(err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// protocolRow finds a protocol of a provider; NotFound.
func (s store) protocolRow(ctx context.Context, q db.Querier, provider, protocol string) (*protocolRow, error) {
	r, err := s.protocols.One(ctx, q, eq("provider_id", provider), eq("name", protocol))
	if fault.Is(err, fault.NotFound) {
		return nil, fault.NotFoundf("Could not find federated protocol %s for Identity Provider: %s.", protocol, provider)
	}
	return r, err
}

// ofProvider lists the protocols of a provider by name.
func (s store) ofProvider(ctx context.Context, q db.Querier, provider string) ([]*identity.Protocol, error) {
	rows, err := s.protocols.List(ctx, q, listing.Query{Where: []listing.Term{eq("provider_id", provider)}, Order: []listing.Order{{Column: "name"}}})
	out := make([]*identity.Protocol, len(rows))
	for i, r := range rows {
		out[i] = r.protocol()
	}
	return out, err
}
