package testcloud_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/testcloud"
	"github.com/mekcloud/mek/test/report"
)

// life is one process's run of a reconciler: it dies at its n-th transaction,
// before it is committed or right after, and does nothing any more.
type life struct {
	mu     sync.Mutex
	n      int // the transaction at which it dies; 0: never
	after  bool
	seen   int
	dead   bool
	cancel context.CancelFunc
}

type lifeKey struct{}

var errDead = errors.New("the server is dead")

func (l *life) at(committed bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !committed && !l.dead {
		l.seen++
	}
	if l.n > 0 && l.seen >= l.n && committed == l.after {
		l.dead = true
	}
	if l.dead {
		l.cancel()
		return errDead
	}
	return nil
}

// bench is a cloud whose reconcilers are run by hand beside its own.
type bench struct {
	*testcloud.Cloud
	t              *testing.T
	server, flavor string
	network        string
}

// perturbed says how a reconciler is given something to do, and how to tell that
// it is done: exactly that, and nothing besides.
type perturbed func(b *bench) (undone func() string)

// perturbations are the fixtures, by reconciler.
var perturbations = map[string]perturbed{
	"answers": func(b *bench) func() string {
		old, young := id.New(), id.New()
		b.exec("INSERT INTO toolkit_answers (key, request_id, request, object, status, sealed, created_at) VALUES ($1, 'r', '', '', 0, '', 1)", old)
		b.exec("INSERT INTO toolkit_answers (key, request_id, request, object, status, sealed, created_at) VALUES ($1, 'r', '', '', 0, '', $2)", young, time.Now().UnixMicro())
		return func() string {
			return b.differ("SELECT COUNT(*) FROM toolkit_answers WHERE key = $1", old, 0) + b.differ("SELECT COUNT(*) FROM toolkit_answers WHERE key = $1", young, 1)
		}
	},
	"outbox": func(b *bench) func() string {
		name := id.New()
		made := b.Demo.Do("POST", "/networking/v2.0/networks", object{"network": object{"name": name}}).Expect(http.StatusCreated).String("network.id")
		return func() string {
			return b.differ("SELECT COUNT(*) FROM outbox_waiting WHERE body LIKE '%' || $1 || '%'", made, 0) +
				b.differ("SELECT COUNT(*) FROM outbox_records WHERE sequence > 0 AND body LIKE '%' || $1 || '%'", made, 1)
		}
	},
	"compute.cards": func(b *bench) func() string {
		port := b.Demo.Do("POST", "/networking/v2.0/ports", object{"port": object{"network_id": b.network}}).Expect(http.StatusCreated).String("port.id")
		b.Demo.Do("POST", "/compute/v2.1/servers/"+b.server+"/os-interface", object{"interfaceAttachment": object{"port_id": port}}).Expect(http.StatusOK)
		b.RunTasks()
		b.Demo.Do("DELETE", "/networking/v2.0/ports/"+port, nil).Expect(http.StatusNoContent)
		return func() string {
			return b.differ("SELECT COUNT(*) FROM compute_nics WHERE port_id = $1", port, 0) + b.differ("SELECT COUNT(*) FROM compute_nics WHERE server = $1", b.server, 1)
		}
	},
	"compute.lost-tasks": func(b *bench) func() string {
		b.exec(`UPDATE compute_servers SET task_state = 'rebooting', updated_at = 1, data = REPLACE(data, '"VM":"active"', '"VM":"active","Task":"rebooting"') WHERE id = $1`, b.server)
		return func() string {
			if got := status(b.Cloud, b.server); got != "ACTIVE" {
				return "the server is " + got
			}
			return b.differ("SELECT COUNT(*) FROM compute_servers WHERE id = $1 AND task_state <> ''", b.server, 0)
		}
	},
	"compute.confirm": func(b *bench) func() string {
		b.flavor = map[string]string{"f1": "f2", "f2": "f1"}[b.flavor]
		act(b.Cloud, b.server, object{"resize": object{"flavorRef": b.flavor}}, http.StatusAccepted)
		b.RunTasks()
		b.exec("UPDATE compute_migrations SET updated_at = 1 WHERE server = $1 AND status = 'finished'", b.server)
		return func() string {
			b.RunTasks()
			if got := status(b.Cloud, b.server); got != "ACTIVE" {
				return "the server is " + got
			}
			return b.differ("SELECT COUNT(*) FROM compute_migrations WHERE server = $1 AND unsettled", b.server, 0)
		}
	},
	"compute.history": func(b *bench) func() string {
		old, young := id.New(), id.New()
		b.exec("INSERT INTO compute_ended_servers (id, project_id, launched_at, ended_at, data) VALUES ($1, '', 1, 2, '{}')", old)
		b.exec("INSERT INTO compute_ended_servers (id, project_id, launched_at, ended_at, data) VALUES ($1, '', 1, $2, '{}')", young, time.Now().UnixMicro())
		return func() string {
			return b.differ("SELECT COUNT(*) FROM compute_ended_servers WHERE id = $1", old, 0) + b.differ("SELECT COUNT(*) FROM compute_ended_servers WHERE id = $1", young, 1)
		}
	},
	"identity.keys": func(b *bench) func() string {
		staged := b.text("SELECT id FROM identity_keys WHERE state = 'staged'")
		b.exec("UPDATE identity_keys SET created_at = 1 WHERE id = $1", staged)
		return func() string {
			b.Demo.Get("/networking/v2.0/networks?limit=1").Expect(http.StatusOK) // tokens of before are good
			b.Login("demo", testcloud.DemoPassword, "demo")
			return b.differ("SELECT COUNT(*) FROM identity_keys WHERE state = 'staged' AND id = $1", staged, 0) +
				b.differ("SELECT COUNT(*) FROM identity_keys WHERE state = 'staged' AND id <> $1", staged, 1)
		}
	},
	"image.transfers": func(b *bench) func() string {
		dead := b.Demo.Do("POST", "/image/v2/images", object{"disk_format": "raw", "container_format": "bare"}).Expect(http.StatusCreated).String("id")
		b.exec("UPDATE image_images SET status = 'saving', transfer = 'dead', transfer_seen = 1 WHERE id = $1", dead)
		stray := filepath.Join(b.Dir, "images", id.New()+".image")
		longAgo := time.Unix(1, 0) // one of several servers leaves what another may be writing
		if err := errors.Join(os.WriteFile(stray, []byte("x"), 0o600), os.Chtimes(stray, longAgo, longAgo)); err != nil {
			b.t.Fatal(err)
		}
		return func() string {
			if _, err := os.Stat(stray); err == nil {
				return "a file of no image is left"
			}
			return b.differ("SELECT COUNT(*) FROM image_images WHERE id = $1 AND status = 'queued' AND transfer = ''", dead, 1) +
				b.differ("SELECT COUNT(*) FROM image_images WHERE id = $1", b.text("SELECT image_id FROM compute_servers WHERE id = $1", b.server), 1)
		}
	},
	"image.tasks": func(b *bench) func() string {
		old := id.New()
		b.exec(`INSERT INTO image_tasks (id, image_id, owner, user_id, request_id, type, status, message, input, created_at, updated_at)
			VALUES ($1, '', '', '', '', 'api_image_import', 'processing', '', '{}', 1, 1)`, old)
		b.exec("UPDATE image_tasks SET status = 'success' WHERE id = $1", old)
		return func() string { return b.differ("SELECT COUNT(*) FROM image_tasks WHERE id = $1", old, 0) }
	},
}

// perturbedElsewhere are reconcilers that other tests perturb: what they look at
// is no row, or there is none of it in a test cloud.
var perturbedElsewhere = map[string]string{
	"compute.power": "TestPerturbedPowerReports", "database.ballast": "TestPerturbedBallast", "recovery.claimed": "TestPerturbedClaims",
	"identity.epochs": "TestPerturbedEpochs", "network.northbound": "TestPerturbedNorthbound", "network.gateways": "TestPerturbedGateways",
	"objectstore.audit": storesOwn, "objectstore.expiry": storesOwn, "objectstore.reaper": storesOwn, "objectstore.sweep": storesOwn, "objectstore.scrub": storesOwn,
	"s3.leftovers": "TestPerturbedLeftovers",
}

const storesOwn = "TestPerturbedReconcilersOfTheStore"

// TestEveryReconcilerIsPerturbed: the list is that of the registry, not of this file.
func TestEveryReconcilerIsPerturbed(t *testing.T) {
	tests, registered := testNames(t), map[string]bool{}
	for _, r := range testcloud.New(t).Reconcilers() {
		registered[r.Name] = true
		if perturbations[r.Name] == nil && perturbedElsewhere[r.Name] == "" {
			t.Errorf("nothing perturbs reconciler %s", r.Name)
		}
	}
	sources, err := filepath.Glob(filepath.Join("..", "app", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range sources {
		if strings.Contains(read(t, file), "reconcile.New(") && filepath.Base(file) != "builder.go" {
			t.Errorf("%s makes a loop past the registry: use builder.reconcilers", file)
		}
	}
	for name, test := range perturbedElsewhere {
		if !tests[test] {
			t.Errorf("%s is perturbed by %s, and there is no such test", name, test)
		}
	}
	for name := range perturbations {
		if !registered[name] {
			t.Errorf("there is no reconciler %s", name)
		}
	}
}

// TestPerturbedReconcilers runs each reconciler in the ways it should not be run:
// killed before and after each of its commits, twice, two at once, with its
// time over before it begins. What comes of it is the same each time (F2).
func TestPerturbedReconcilers(t *testing.T) {
	run := report.Start(t, "F2", 0)
	c := testcloud.New(t, testcloud.Configured(func(conf *config.Config) { conf.Compute.ConfirmAfter = time.Hour }))
	b := &bench{Cloud: c.Again(c.DB.Faulty(func(ctx context.Context, committed bool) error {
		if l, ok := ctx.Value(lifeKey{}).(*life); ok {
			return l.at(committed)
		}
		return nil
	})), t: t, flavor: "f1"}
	_, server := shop(t, b.Cloud)
	b.Admin.Do("POST", "/compute/v2.1/flavors", object{"flavor": object{"name": "g", "ram": 512, "vcpus": 1, "disk": 1, "id": "f2"}}).Expect(http.StatusOK)
	b.server = server(b.Cloud, "s")
	b.network = b.text("SELECT network_id FROM compute_nics WHERE server = $1", b.server)
	most := 2
	if os.Getenv("MEK_SOAK") != "" {
		most = 20
	}
	for _, r := range b.Reconcilers() {
		prepare := perturbations[r.Name]
		if prepare == nil {
			continue
		}
		one := func(l *life) error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			l.cancel = cancel
			return r.Run(context.WithValue(ctx, lifeKey{}, l))
		}
		clean := func(how string, undone func() string) {
			t.Helper()
			run.Operations(1)
			if err := one(&life{}); err != nil {
				run.Violation("%s, %s: %v", r.Name, how, err)
			}
			if left := undone(); left != "" {
				run.Violation("%s, %s: %s", r.Name, how, left)
			}
		}
		clean("undisturbed", prepare(b))
		undone := prepare(b)
		clean("once", undone)
		clean("repeated", undone)
		run.Fault("reconciler repeated", 1)
		undone = prepare(b)
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() { _ = one(&life{}) }) // one of them may be refused; the next run is not
		}
		both.Wait()
		clean("two at once", undone)
		run.Fault("two reconcilers at once", 1)
		undone = prepare(b)
		late, cancel := context.WithCancel(t.Context())
		cancel()
		_ = r.Run(late) // whatever it says
		clean("late", undone)
		run.Fault("reconciler late", 1)
		kills := 0
		for _, after := range []bool{false, true} {
			for n := 1; n <= most; n++ {
				undone = prepare(b)
				l := &life{n: n, after: after}
				_ = one(l) // it is dead, whatever it says
				clean(fmt.Sprintf("killed at commit %d, after it: %v", n, after), undone)
				if !l.dead {
					break
				}
				kills++
			}
		}
		run.Fault("reconciler killed at a commit", kills)
		if kills == 0 {
			t.Errorf("%s never commits anything", r.Name)
		}
	}
}

func (b *bench) exec(statement string, args ...any) {
	b.t.Helper()
	err := b.DB.Write(b.t.Context(), func(tx *db.Tx) error {
		_, err := tx.ExecContext(b.t.Context(), statement, args...)
		return err
	})
	if err != nil {
		b.t.Fatalf("%s: %v", statement, err)
	}
}

func (b *bench) text(query string, args ...any) (out string) {
	b.t.Helper()
	if err := b.DB.QueryRowContext(b.t.Context(), query, args...).Scan(&out); err != nil {
		b.t.Fatalf("%s: %v", query, err)
	}
	return out
}

// differ tells how a count differs from what it should be; empty: it does not.
func (b *bench) differ(query, arg string, want int) string {
	b.t.Helper()
	var n int
	if err := b.DB.QueryRowContext(b.t.Context(), query, arg).Scan(&n); err != nil {
		b.t.Fatalf("%s: %v", query, err)
	}
	if n == want {
		return ""
	}
	return fmt.Sprintf("%s (%s) is %d, not %d; ", strings.TrimSpace(query), arg, n, want)
}

// TestPerturbedBallast has the ballast's keeper find its file in every state that
// a death between its steps can leave, and run twice at once.
func TestPerturbedBallast(t *testing.T) {
	run := report.Start(t, "F2", 0)
	const size = 1 << 20
	d := dbtest.SQLite(t)
	if err := d.Ballast(t.Context(), size); err != nil {
		t.Fatal(err)
	}
	file := ballastOf(t, d)
	for name, leave := range map[string]func() error{
		"whole": func() error { return nil }, "gone": func() error { return os.Remove(file) }, "empty": func() error { return os.Truncate(file, 0) },
		"half": func() error { return os.Truncate(file, size/2) }, "too long": func() error { return os.Truncate(file, 2*size) },
	} {
		if err := leave(); err != nil {
			t.Fatal(err)
		}
		run.Fault("ballast "+name, 1)
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				if err := d.KeepBallast(t.Context()); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		both.Wait()
		fi, err := os.Stat(file)
		if err != nil || fi.Size() < size || d.Full() {
			run.Violation("%s: %v, full %v, %v", name, fi, d.Full(), err)
		}
	}
}

// ballastOf finds the file beside a database.
func ballastOf(t *testing.T, d *db.DB) string {
	t.Helper()
	var n int
	var name, path string
	if err := d.QueryRowContext(t.Context(), "PRAGMA database_list").Scan(&n, &name, &path); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(filepath.Dir(path), "ballast")
}
