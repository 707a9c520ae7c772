package preflight

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/config"
)

func TestATakenPortIsNamedAndReplaced(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := config.Default(t.TempDir())
	c.Listen, c.Simulate = l.Addr().String(), 1
	choices := Choices{}
	r := ports(Want{Config: c}, choices)
	if r.Outcome != Limited || choices["listen"] == nil || choices["listen"] == c.Listen {
		t.Fatalf("%+v %v", r, choices)
	}
	r = ports(Want{Config: c, ListenGiven: true}, Choices{})
	if r.Outcome != Blocked || !strings.Contains(r.Found, "process "+strconv.Itoa(os.Getpid())) || r.Do == "" {
		t.Fatalf("does not say who holds it: %+v", r)
	}
	if r := ports(Want{Config: c, ListenGiven: true, Running: true}, Choices{}); r.Outcome != OK {
		t.Fatalf("our own port is an obstacle: %+v", r)
	}
}

func TestRangesAvoidRoutes(t *testing.T) {
	taken := []netip.Prefix{netip.MustParsePrefix("172.16.0.0/12")}
	if got, by := firstFree([]string{"172.24.4.0/24", "172.25.0.0/24", "10.1.0.0/24"}, taken); got != "10.1.0.0/24" || by != taken[0] {
		t.Fatalf("%s %s", got, by)
	}
	if got, by := firstFree([]string{"172.24.4.0/24"}, taken); got != "" || by != taken[0] {
		t.Fatalf("%s %s", got, by)
	}
}

func TestEveryResultThatIsNotOKSaysWhatToDo(t *testing.T) {
	c := config.Default(t.TempDir())
	results, _ := Run(t.Context(), Want{Config: c})
	seen := map[string]bool{}
	for _, r := range results {
		if seen[r.Check] || r.Check == "" || r.Found == "" {
			t.Errorf("twice or empty: %+v", r)
		}
		seen[r.Check] = true
		if (r.Outcome != OK) != (r.Do != "") {
			t.Errorf("%+v", r)
		}
	}
	if len(seen) < 10 {
		t.Fatalf("only %d checks ran", len(seen))
	}
}

func TestWorst(t *testing.T) {
	for want, list := range map[Outcome][]Result{
		OK: {{Outcome: OK}}, Limited: {{Outcome: Limited}, {Outcome: OK}}, Blocked: {{Outcome: Blocked}, {Outcome: Limited}},
	} {
		if got := Worst(list); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func FuzzListenerInode(f *testing.F) {
	f.Add("  0: 0100007F:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1", 443)
	f.Add("x", 0)
	f.Fuzz(func(t *testing.T, table string, port int) {
		if inode := listenerInode(table, port); inode != "" && !strings.Contains(table, inode) {
			t.Fatal("an inode that is not in the table")
		}
	})
}
