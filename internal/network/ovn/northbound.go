package ovn

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/go-logr/logr"
	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/mekcloud/mek/internal/fault"
)

// Northbound writes rendered scopes into one northbound database. It must be
// the only writer. Safe for concurrent use; transactions go one at a time.
type Northbound struct {
	client client.Client
	mu     sync.Mutex
	mirror *mirror
}

// How long one call to the database may take.
const callTimeout = 20 * time.Second

// Open connects to a northbound database ("unix:/path/nb.sock") and reads what
// is there. The connection comes back by itself after a restart of the engine.
// onUp, if given, learns each logical port whose flows came in on its host, or
// went away, and of every port once at the start; it is called in order and
// must not block.
func Open(ctx context.Context, endpoint string, onUp func(port string, up bool)) (*Northbound, error) {
	dbModel, err := model.NewClientDBModel("OVN_Northbound", map[string]model.Model{"Logical_Switch_Port": &watchedPort{}})
	if err != nil {
		return nil, fmt.Errorf("northbound model: %w", err)
	}
	quiet := logr.Discard()
	c, err := client.NewOVSDBClient(dbModel, client.WithEndpoint(endpoint), client.WithLogger(&quiet),
		client.WithReconnect(callTimeout, backoff.NewConstantBackOff(200*time.Millisecond)))
	if err != nil {
		return nil, fmt.Errorf("northbound client: %w", err)
	}
	if err := c.Connect(ctx); err != nil {
		return nil, fault.Unavailablef("the network database does not answer").Because(err)
	}
	n := &Northbound{client: c, mirror: newMirror()}
	if onUp != nil {
		c.Cache().AddEventHandler(upHandler(onUp))
		w := &watchedPort{}
		if _, err := c.Monitor(ctx, c.NewMonitor(client.WithTable(w, &w.Name, &w.Up))); err != nil {
			c.Close()
			return nil, fmt.Errorf("watch logical ports: %w", err)
		}
	}
	if _, err := n.load(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return n, nil
}

// Close ends the connection.
func (n *Northbound) Close() { n.client.Close() }

// Apply makes one scope exactly as rendered: rows of the scope that are not
// among these go away. One transaction, none when nothing differs. NotFound
// when a row's parent was not rendered yet: apply that scope first.
func (n *Northbound) Apply(ctx context.Context, scope string, rows []Row) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	err := n.apply(ctx, scope, rows)
	if err == nil || fault.Is(err, fault.NotFound) {
		return err
	}
	// Somebody else wrote, or an answer was lost: read again, then once more.
	if _, loadErr := n.load(ctx); loadErr != nil {
		return errors.Join(err, loadErr)
	}
	return n.apply(ctx, scope, rows)
}

// Rendered is a scope with its rows.
type Rendered struct {
	Scope string
	Rows  []Row
}

// ApplyAll is Apply of many scopes in one transaction, in their order. The answer
// has an error for each scope that was left out, by its name: NotFound, as from
// Apply. Its own error is of all: none was applied.
func (n *Northbound) ApplyAll(ctx context.Context, all []Rendered) (map[string]error, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	left := map[string]error{}
	var ops []ovsdb.Operation
	for _, r := range all {
		p := n.plan(r.Scope, r.Rows)
		if len(p.missing) > 0 {
			left[r.Scope] = fault.NotFoundf("not rendered yet: %s", strings.Join(p.missing, ", "))
			continue
		}
		ops = append(ops, p.ops...)
		n.mirror.take(p) // the next scope may hang on this one
	}
	if len(ops) == 0 {
		return left, nil
	}
	if _, err := n.transact(ctx, ops); err != nil {
		_, loadErr := n.load(ctx) // the mirror says what is not so
		return nil, errors.Join(fmt.Errorf("apply %d scopes: %w", len(all), err), loadErr)
	}
	return left, nil
}

// Resync reads the whole database and makes it as rendered, with nothing
// besides. It answers how many scopes differed.
func (n *Northbound) Resync(ctx context.Context, scopes map[string][]Row) (repaired int, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	strays, err := n.load(ctx)
	if err != nil {
		return 0, err
	}
	if err := n.removeStrays(ctx, strays); err != nil {
		return 0, err
	}
	names := slices.SortedFunc(maps.Keys(scopes), CompareScopes)
	for name := range n.mirror.scopes {
		if _, ok := scopes[name]; !ok {
			names = append(names, name)
		}
	}
	var failed []error
	for _, name := range names {
		p := n.plan(name, scopes[name])
		if len(p.ops) == 0 && len(p.missing) == 0 {
			continue
		}
		repaired++
		if err := n.apply(ctx, name, scopes[name]); err != nil {
			failed = append(failed, fmt.Errorf("scope %s: %w", name, err))
		}
	}
	return repaired + len(strays), errors.Join(failed...)
}

// Difference is a scope that is not as rendered.
type Difference struct{ Scope, Text string }

// Compare tells which scopes differ from what was read when the database was
// opened, or written since. It changes nothing.
func (n *Northbound) Compare(scopes map[string][]Row) []Difference {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []Difference
	for _, name := range slices.SortedFunc(maps.Keys(scopes), CompareScopes) {
		p := n.plan(name, scopes[name])
		switch {
		case len(p.missing) > 0:
			out = append(out, Difference{name, "rows say it hangs on " + strings.Join(p.missing, ", ") + ", which the database does not have"})
		case len(p.ops) > 0:
			out = append(out, Difference{name, fmt.Sprintf("rows mean %d records; %d differ and %d are too many", len(scopes[name]), len(p.put), len(p.drop))})
		}
	}
	for name := range n.mirror.scopes {
		if _, ok := scopes[name]; !ok {
			out = append(out, Difference{name, "the database has it, no row means it"})
		}
	}
	return out
}

// Scopes lists what was applied, by name.
func (n *Northbound) Scopes() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Sorted(maps.Keys(n.mirror.scopes))
}

func (n *Northbound) plan(scope string, rows []Row) plan {
	desired := make([]Row, len(rows))
	for i, r := range rows {
		r.Scope = scope
		desired[i] = complete(r)
	}
	return planScope(n.mirror, scope, desired)
}

func (n *Northbound) apply(ctx context.Context, scope string, rows []Row) error {
	p := n.plan(scope, rows)
	if len(p.missing) > 0 {
		return fault.NotFoundf("not rendered yet: %s", strings.Join(p.missing, ", "))
	}
	if len(p.ops) > 0 {
		if _, err := n.transact(ctx, p.ops); err != nil {
			return fmt.Errorf("apply %s: %w", scope, err)
		}
	}
	n.mirror.take(p)
	return nil
}

func (n *Northbound) transact(ctx context.Context, ops []ovsdb.Operation) ([]ovsdb.OperationResult, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return transact(ctx, n.client, ops...)
}

// transact makes changes all together, and fails when one of them does.
func transact(ctx context.Context, c client.Client, ops ...ovsdb.Operation) ([]ovsdb.OperationResult, error) {
	results, err := c.Transact(ctx, ops...)
	if err != nil {
		return nil, fault.Unavailablef("the network database does not answer").Because(err)
	}
	if failed, err := ovsdb.CheckOperationResults(results, ops); err != nil {
		return nil, fault.Internalf("network database: %w: %v", err, failed)
	}
	return results, nil
}

// CompareScopes orders scopes for slices.SortFunc: it puts parents before children: networks and groups, then
// routers, then the rest.
func CompareScopes(a, b string) int {
	if c := scopeRank(a) - scopeRank(b); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

func scopeRank(scope string) int {
	for i, prefix := range []string{"global", "network/", "addresses/", "group/", "router/", "port/"} {
		if strings.HasPrefix(scope, prefix) {
			return i
		}
	}
	return 9
}
