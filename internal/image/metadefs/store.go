package metadefs

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
)

type definition struct {
	ID          string            `db:"id"`
	NamespaceID string            `db:"namespace_id"`
	Kind        string            `db:"kind"`
	Name        string            `db:"name"`
	Body        db.JSON[document] `db:"body"`
	CreatedAt   int64             `db:"created_at"`
	UpdatedAt   int64             `db:"updated_at"`
}

var (
	namespaces  = db.NewTable[Namespace]("image_namespaces", "id", "Namespace")
	definitions = db.NewTable[definition]("image_definitions", "id", "Definition")
)

func is(column, value string) listing.Term {
	return listing.Term{Column: column, Op: listing.Eq, Values: []any{value}}
}

func byName(ctx context.Context, q db.Querier, name string) (*Namespace, error) {
	n, err := namespaces.One(ctx, q, is("name", name))
	if fault.Is(err, fault.NotFound) {
		return nil, notFound(name)
	}
	return n, err
}

func notFound(name string) error { return fault.NotFoundf("Namespace %s not found", name) }

// seen is the condition for the eyes of a project.
func seen(project string) db.Cond {
	return db.Cond{SQL: "visibility = 'public' OR owner = ?", Args: []any{project}}
}

// withType is the condition that a namespace is associated with a resource type.
func withType(name string) db.Cond {
	return db.Cond{SQL: "id IN (SELECT namespace_id FROM image_definitions WHERE kind = 'resource_type' AND name = ?)", Args: []any{name}}
}

// of gives the definitions of a kind in a namespace, the oldest first.
func of(ctx context.Context, q db.Querier, namespace string, k kind) ([]*definition, error) {
	return definitions.Find(ctx, q, is("namespace_id", namespace), is("kind", k.name))
}

func one(ctx context.Context, q db.Querier, namespace string, k kind, name string) (*definition, error) {
	d, err := definitions.One(ctx, q, is("namespace_id", namespace), is("kind", k.name), is("name", name))
	if fault.Is(err, fault.NotFound) {
		return nil, fault.NotFoundf("Metadata definition %s %s not found", k.name, name)
	}
	return d, err
}

func clear(ctx context.Context, tx *db.Tx, namespace string, k kind) error {
	_, err := definitions.DeleteWhere(ctx, tx, is("namespace_id", namespace), is("kind", k.name))
	return err
}

// usedTypes are the names of all associated resource types.
func usedTypes(ctx context.Context, q db.Querier) ([]string, error) {
	rows, err := q.QueryContext(ctx, "SELECT DISTINCT name FROM image_definitions WHERE kind = 'resource_type' ORDER BY name")
	if err != nil {
		return nil, db.Translate(err, "list resource types")
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, db.Translate(err, "list resource types")
		}
		out = append(out, name)
	}
	return out, db.Translate(rows.Err(), "list resource types")
}
