package db

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/mekcloud/mek/internal/id"
)

// How a dead PostgreSQL server is noticed when nothing comes back at all.
const (
	connectTimeout = 5 * time.Second
	probeIdle      = 5 * time.Second
	probeInterval  = 2 * time.Second
	probeCount     = 3
)

// A server that is stopped in the middle of a transaction must not hold its
// locks against the others for long: transactions here do nothing but queries.
const (
	idleTimeout = "idle_in_transaction_session_timeout"
	idleLimit   = "4000" // ms
)

func openPostgres(ctx context.Context, address string) (*DB, error) {
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, err
	}
	if u, err := url.Parse(address); err == nil && !u.Query().Has("pool_max_conns") {
		config.MaxConns = int32(max(16, 4*runtime.NumCPU())) // pgx's default of four is too little for one busy server
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: probeIdle, Interval: probeInterval, Count: probeCount}}
	config.ConnConfig.DialFunc = dialer.DialContext
	if _, given := config.ConnConfig.RuntimeParams[idleTimeout]; !given {
		config.ConnConfig.RuntimeParams[idleTimeout] = idleLimit
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	handle := stdlib.OpenDBFromPool(pool)
	if err := handle.PingContext(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return &DB{engine: Postgres, read: handle, write: handle, pool: pool, origin: id.New(), closed: pool.Close, count: &counters{}}, nil
}

// channel carries everything that servers tell each other through the database.
const channel = "mek"

// Notify tells the other servers of this database something once the
// transaction is durable; nothing where there are none. It reaches those that
// listen at the moment: who was away looks for itself. text has less than 7 KB.
func (t *Tx) Notify(topic, text string) {
	if note := topic + " " + text; t.engine == Postgres && !slices.Contains(t.notes, note) {
		t.notes = append(t.notes, note)
	}
}

// tell has the notes go out with the commit.
func (t *Tx) tell(ctx context.Context, origin string) error {
	for _, note := range t.notes {
		if _, err := t.ExecContext(ctx, "SELECT pg_notify($1, $2)", channel, origin+" "+note); err != nil {
			return translate(err, "notify")
		}
	}
	return nil
}

// Listen calls heard with what other servers tell, until the connection ends. ready is called first, when nothing is missed any
// more: what was told before has to be looked for. On SQLite it waits for ctx.
func (d *DB) Listen(ctx context.Context, ready func(), heard func(message string)) error {
	if d.engine != Postgres {
		<-ctx.Done()
		return nil
	}
	conn, err := pgx.ConnectConfig(ctx, d.pool.Config().ConnConfig.Copy())
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer func() {
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(bye) // the server closes it otherwise
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	ready()
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		if origin, message, _ := strings.Cut(n.Payload, " "); origin != d.origin {
			heard(message)
		}
	}
}
