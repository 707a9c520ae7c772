package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/image"
)

const (
	inspectTime  = time.Minute
	convertTime  = time.Hour
	maxAnswer    = 64 << 10 // bytes of an answer that are read
	nobody       = 65534
	inspectWrite = maxAnswer // the inspector writes its answer and nothing else
)

// Options say how workers run.
type Options struct {
	// Self starts this program's worker subcommand: its name, then the words
	// that lead to Main, for example {"mek", "image-worker"}.
	Self []string
	// Program is the file of this program; empty: the running one.
	Program string
	// UID is the user that workers run as when this process is root; 0: nobody.
	// An unprivileged process runs them as itself, in a user namespace.
	UID uint32
	// Parallel is the number of workers that may run at once; 0: two.
	Parallel int
}

// Runner starts workers. Safe for concurrent use.
type Runner struct {
	opt     Options
	program *os.File
	bwrap   string     // path; empty: own namespaces
	opening sync.Mutex // held while this process's memory is open
	slots   chan struct{}
}

// New prepares a runner and tries the sandbox. It fails when none can be had.
func New(ctx context.Context, opt Options) (*Runner, error) {
	if opt.Program == "" {
		opt.Program = "/proc/self/exe"
	}
	if opt.UID == 0 {
		opt.UID = nobody
	}
	if opt.Parallel == 0 {
		opt.Parallel = 2
	}
	program, err := os.Open(opt.Program)
	if err != nil {
		return nil, fmt.Errorf("open the worker's program: %w", err)
	}
	r := &Runner{opt: opt, program: program, slots: make(chan struct{}, opt.Parallel)}
	first := errors.New("bubblewrap is not installed")
	if path, err := exec.LookPath("bwrap"); err == nil {
		r.bwrap = path
		if first = r.probe(ctx); first == nil {
			return r, nil
		}
	}
	r.bwrap = ""
	if err := r.probe(ctx); err != nil {
		program.Close()
		return nil, fmt.Errorf("no sandbox for images: %w", errors.Join(first, err))
	}
	return r, nil
}

// Close releases the program's descriptor. Workers still running go on.
func (r *Runner) Close() error { return r.program.Close() }

// Sandbox names what encloses workers besides Landlock and seccomp, for logs and doctor.
func (r *Runner) Sandbox() string {
	if r.bwrap != "" {
		return "bubblewrap"
	}
	return "namespaces"
}

func (r *Runner) probe(ctx context.Context) error {
	_, err := r.run(ctx, inspectTime, nil, nil, inspectWrite, verbProbe, "-")
	return err
}

// Inspect finds out what an image is. f is read by position only, from any
// offset, and stays open. A content that must not be used is not an error: see
// Inspection.Problem. Unavailable when the sandbox fails or takes too long.
func (r *Runner) Inspect(ctx context.Context, f *os.File, declared image.Format) (image.Inspection, error) {
	var found image.Inspection
	answer, err := r.run(ctx, inspectTime, f, nil, inspectWrite, verbInspect, string(declared))
	if err != nil {
		return found, err
	}
	if err := json.Unmarshal(answer, &found); err != nil {
		return found, fault.Internalf("answer of the image worker: %w", err)
	}
	return found, nil
}

// Convert writes the disk in f, whose content is of format from, to out in
// format to. out must be empty; it grows to limit bytes at most. TooLarge when
// that is not enough; Invalid when the image is damaged. out is not synced.
func (r *Runner) Convert(ctx context.Context, f *os.File, from image.Format, out *os.File, to image.Format, limit int64) error {
	if !Convertible(from) || !Convertible(to) {
		return fault.Invalidf("Images of format %s cannot be converted to %s", from, to)
	}
	if os.Geteuid() == 0 {
		giveBack, err := r.lend(f, out)
		if err != nil {
			return err
		}
		defer giveBack()
	}
	_, err := r.run(ctx, convertTime, f, out, limit, verbConvert, string(from), string(to))
	return err
}

// lend lets the worker's user read in and write out: qemu-img opens both anew
// by their descriptors, so their modes count. The folders they are in keep
// everybody else away.
func (r *Runner) lend(in, out *os.File) (giveBack func(), err error) {
	before, err := in.Stat()
	if err == nil {
		err = in.Chmod(before.Mode().Perm() | 0o444)
	}
	if err == nil {
		err = out.Chown(int(r.opt.UID), -1)
	}
	if err != nil {
		return nil, fault.Internalf("lend files to an image worker: %w", err)
	}
	return func() {
		// A failure leaves a file that its folder protects and its owner removes.
		_ = in.Chmod(before.Mode().Perm())
		_ = out.Chown(0, -1)
	}, nil
}

// run starts one worker and gives what it answered.
func (r *Runner) run(ctx context.Context, limit time.Duration, in, out *os.File, output int64, words ...string) ([]byte, error) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return nil, fault.Unavailablef("The image could not be checked in time").Because(ctx.Err())
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, fault.Internalf("open null device: %w", err)
	}
	defer null.Close()
	if in == nil {
		in = null
	}
	if out == nil {
		out = null
	}
	cmd := r.command(ctx, append([]string{strconv.FormatInt(output, 10)}, words...))
	cmd.ExtraFiles = []*os.File{in, out, r.program} // 3, 4, 5
	var answer, complaint bounded
	cmd.Stdout, cmd.Stderr = &answer, &complaint
	err = r.start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return nil, verdict(ctx, err, words[0], complaint.String())
	}
	return answer.Bytes(), nil
}

// verdict tells the failures of a worker apart.
func verdict(ctx context.Context, err error, verb, complaint string) error {
	cause := fmt.Errorf("image worker %s: %w: %s", verb, err, strings.TrimSpace(complaint))
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return fault.Unavailablef("The image could not be read in time").Because(cause)
	case verb == verbConvert && errors.As(err, &exit) && (exit.ExitCode() == 128+int(syscall.SIGXFSZ) || strings.Contains(complaint, "File too large")):
		return fault.New(fault.TooLarge, "The image does not fit").Because(cause)
	case verb == verbConvert && strings.Contains(complaint, "No space left on device"):
		return fault.Unavailablef("There is no space for the converted image").Because(cause)
	case verb == verbConvert && errors.As(err, &exit) && strings.HasPrefix(complaint, "qemu-img:"):
		return fault.Invalidf("The image cannot be read").Because(cause)
	}
	return fault.Unavailablef("The image could not be read").Because(cause)
}

// start starts a worker. Without bubblewrap this process writes the maps of the
// worker's user namespace, which the kernel refuses to a user's process whose memory is
// closed to others (as the server's is): it is opened for as long as that takes.
func (r *Runner) start(cmd *exec.Cmd) error {
	if r.bwrap != "" || os.Geteuid() == 0 {
		return cmd.Start()
	}
	r.opening.Lock()
	defer r.opening.Unlock()
	if is, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || is == 1 {
		return cmd.Start()
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
		return err
	}
	return errors.Join(cmd.Start(), unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
}

// command makes the process: sandbox, then this program's "enter".
func (r *Runner) command(ctx context.Context, words []string) *exec.Cmd {
	self := append(append(r.opt.Self[1:len(r.opt.Self):len(r.opt.Self)], verbEnter), append(append([]string{}, r.opt.Self...), "--")...)
	self = append(self, words...)
	var cmd *exec.Cmd
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if r.bwrap != "" {
		cmd = exec.CommandContext(ctx, r.bwrap, append(bwrapArguments(), append([]string{programPath()}, self...)...)...)
	} else {
		cmd = exec.CommandContext(ctx, programPath(), self...)
		attr.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Getgid(), Size: 1}}
	}
	if os.Geteuid() == 0 {
		if r.bwrap == "" {
			attr.UidMappings[0].HostID, attr.GidMappings[0].HostID = int(r.opt.UID), int(r.opt.UID)
			attr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: true}
		} else {
			attr.Credential = &syscall.Credential{Uid: r.opt.UID, Gid: r.opt.UID}
		}
	}
	cmd.SysProcAttr = attr
	cmd.Env = []string{"PATH=/usr/bin"}
	cmd.Dir = "/"
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

func bwrapArguments() []string {
	return []string{"--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL",
		"--uid", strconv.Itoa(nobody), "--gid", strconv.Itoa(nobody),
		"--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--symlink", "usr/bin", "/bin",
		"--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache", "--proc", "/proc", "--dev", "/dev", "--chdir", "/", "--"}
}

// bounded keeps the first bytes of what is written to it and drops the rest.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if room := maxAnswer - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

var _ io.Writer = (*bounded)(nil)
