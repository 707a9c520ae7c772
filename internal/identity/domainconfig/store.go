package domainconfig

import (
	"context"
	"encoding/base64"
	"encoding/json"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
)

// Sealer encrypts with a key of the installation.
type Sealer interface {
	Seal(name string, secret []byte) []byte
	Open(name string, sealed []byte) ([]byte, error)
}

// value is an option that a domain has set: JSON, or sealed JSON when it is secret.
type value struct {
	group, name string
	text        string
}

type store struct{ seal Sealer }

// encode gives the text of a value as it is stored.
func (s store) encode(domain string, o *option, v any) (string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", fault.Internalf("encode option %s: %w", o.name, err)
	}
	if o.secret {
		return base64.StdEncoding.EncodeToString(s.seal.Seal("domain config "+domain+" "+o.group+"."+o.name, text)), nil
	}
	return string(text), nil
}

// load reads what a domain has set, secret options too.
func (store) load(ctx context.Context, q db.Querier, domain string) ([]value, error) {
	rows, err := q.QueryContext(ctx, `SELECT section, name, value FROM identity_domain_options WHERE domain_id = $1 ORDER BY section, name`, domain)
	if err != nil {
		return nil, db.Translate(err, "read options of domain")
	}
	defer rows.Close()
	var out []value
	for rows.Next() {
		var v value
		if err := rows.Scan(&v.group, &v.name, &v.text); err != nil {
			return nil, db.Translate(err, "scan option of domain")
		}
		out = append(out, v)
	}
	return out, db.Translate(rows.Err(), "read options of domain")
}

func (store) put(ctx context.Context, tx *db.Tx, domain string, v value) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO identity_domain_options (domain_id, section, name, value) VALUES ($1, $2, $3, $4)
		ON CONFLICT (domain_id, section, name) DO UPDATE SET value = excluded.value`, domain, v.group, v.name, v.text)
	return db.Translate(err, "store option of domain")
}

// drop removes all options of a domain, of one group, or one option.
func (store) drop(ctx context.Context, tx *db.Tx, domain, group, name string) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM identity_domain_options WHERE domain_id = $1 AND ($2 = '' OR section = $3) AND ($4 = '' OR name = $5)`,
		domain, group, group, name, name)
	return db.Translate(err, "remove options of domain")
}
