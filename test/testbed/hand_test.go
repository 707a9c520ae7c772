package testbed_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/test/testbed"
)

// sign is what the kernel says when it starts its first program.
var sign = []byte("Run /init as init process")

// said tells whether a console's log has the sign.
func said(log string) bool {
	text, err := os.ReadFile(log)
	return err == nil && bytes.Contains(text, sign)
}

// hand starts guests by hand: the same QEMU with the same devices as a cloud
// starts, but files and sockets come from nobody else, and no network.
type hand struct {
	b     *testing.B
	words []string // of a guest of the cloud
	dir   string
	n     int
}

// learn reads the command line of a guest that runs on a machine.
func learn(b *testing.B, m *testbed.Machine) *hand {
	b.Helper()
	for _, words := range m.Processes() {
		if strings.Contains(words[0], "qemu-system") {
			return &hand{b: b, words: words, dir: b.TempDir()}
		}
	}
	b.Fatal("no guest runs on the machine")
	return nil
}

// start runs one more guest on a fresh disk over the image, and names the log of its console.
func (h *hand) start() (*exec.Cmd, string) {
	h.b.Helper()
	h.n++
	log, disk := filepath.Join(h.dir, fmt.Sprint(h.n, ".log")), filepath.Join(h.dir, fmt.Sprint(h.n, ".qcow2"))
	image, err := filepath.Abs(filepath.Join(os.Getenv("MEK_TEST_GUEST"), "guest.qcow2"))
	if err != nil {
		h.b.Fatal(err)
	}
	if out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image, disk, "1G").CombinedOutput(); err != nil {
		h.b.Fatalf("disk: %v %s", err, out)
	}
	cmd := exec.Command(h.words[0], byHand(h.words[1:], log, disk, image)...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		h.b.Fatal(err)
	}
	return cmd, log
}

// byHand puts files of its own in the place of what a guest of the cloud inherits.
func byHand(words []string, log, disk, image string) []string {
	var out []string
	for i := 0; i < len(words); i++ {
		switch words[i] {
		case "-S":
			continue
		case "-sandbox", "-add-fd":
			i++
			continue
		case "-chardev", "-netdev":
			id := words[i+1][strings.Index(words[i+1], "id=")+3:]
			id, _, _ = strings.Cut(id, ",")
			what := "null,id=" + id
			if words[i] == "-netdev" {
				what = "hubport,hubid=0,id=" + id
			} else if id == "serial0" {
				what = "file,id=serial0,path=" + log
			}
			out = append(out, words[i], what)
			i++
		case "-blockdev":
			out = append(out, words[i])
			i++
			node := words[i]
			if at := strings.Index(node, "/dev/fdset/"); at >= 0 {
				end := at + strings.IndexByte(node[at:], '"')
				file := disk
				if strings.Contains(node, `"read-only":true`) {
					file = image
				}
				node = node[:at] + file + node[end:]
			}
			out = append(out, node)
		default:
			out = append(out, words[i])
		}
	}
	return out
}

// TestByHand: nothing that is inherited is left in the words.
func TestByHand(t *testing.T) {
	got := byHand([]string{"-S", "-sandbox", "on", "-m", "512", "-chardev", "socket,id=qmp,fd=3,server=on", "-add-fd", "fd=4,set=4", "-chardev", "socket,id=serial0,fd=5",
		"-blockdev", `{"filename":"/dev/fdset/8","node-name":"a","read-only":true}`, "-blockdev", `{"filename":"/dev/fdset/7","node-name":"b","read-only":false}`,
		"-netdev", "tap,id=n1,fd=9"}, "LOG", "DISK", "IMAGE")
	want := []string{"-m", "512", "-chardev", "null,id=qmp", "-chardev", "file,id=serial0,path=LOG", "-blockdev", `{"filename":"IMAGE","node-name":"a","read-only":true}`,
		"-blockdev", `{"filename":"DISK","node-name":"b","read-only":false}`, "-netdev", "hubport,hubid=0,id=n1"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// together starts n guests in a loop and waits until each is in its user space.
func (h *hand) together(n int) time.Duration {
	h.b.Helper()
	var all []*exec.Cmd
	defer func() {
		for _, cmd := range all {
			_, _ = cmd.Process.Kill(), cmd.Wait() // reports the signal
		}
	}()
	begun := time.Now()
	var logs []string
	for range n {
		cmd, log := h.start()
		all, logs = append(all, cmd), append(logs, log)
	}
	for _, log := range logs {
		awaitSign(h.b, log, begun)
	}
	return time.Since(begun)
}

func awaitSign(b *testing.B, log string, begun time.Time) {
	b.Helper()
	for !said(log) {
		if time.Since(begun) > 10*time.Minute {
			b.Fatal("a guest never came to its user space")
		}
		<-time.After(2 * time.Millisecond)
	}
}
