package worker

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/image"
)

// The descriptors of a worker.
const (
	inputFD   = 3
	outputFD  = 4
	programFD = 5
)

// The command lines of a worker. "enter" binds the process and starts the program
// again (or qemu-img), because Landlock and limits hold from an exec on in all threads.
const (
	verbEnter   = "enter"
	verbProbe   = "probe"
	verbInspect = "inspect"
	verbConvert = "convert"
)

const (
	memory       = 1 << 30 // bytes that it may write to
	addressSpace = 4 << 30 // with what the runtime only reserves, more than a GiB of it
	cpuSeconds   = 30
	maxOpenFiles = 64
)

// Main is the worker process: the hidden subcommand of the program whose
// arguments a Runner made. It returns the exit status.
func Main(args []string) int {
	if err := run(args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func run(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("image worker: started without its arguments")
	}
	if args[0] == verbEnter { // enter SELF... -- OUTPUT-LIMIT VERB ARGUMENT...
		return enter(args[1:])
	}
	if err := forbidExec(); err != nil {
		return err
	}
	switch args[0] {
	case verbProbe:
		_, err := os.Stdout.WriteString("{}")
		return err
	case verbInspect:
		return inspect(image.Format(args[1]))
	}
	return fmt.Errorf("image worker: unknown verb %q", args[0])
}

// enter binds this process and becomes the one that does the work.
func enter(args []string) error {
	self, rest, err := split(args)
	if err != nil {
		return err
	}
	limit, err := strconv.ParseUint(rest[0], 10, 62)
	if err != nil {
		return fmt.Errorf("image worker: output limit: %w", err)
	}
	program, argv := programPath(), append(self, rest[1:]...)
	if rest[1] == verbConvert {
		if program, argv, err = convertCommand(rest[2:]); err != nil {
			return err
		}
	}
	runtime.LockOSThread() // what follows binds a thread; the exec makes it the whole process
	if err := limitResources(limit); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("image worker: no new privileges: %w", err)
	}
	if err := restrictFiles(); err != nil {
		return err
	}
	if err := filterCalls(baseDenied, 0); err != nil {
		return err
	}
	return become(program, argv, []string{"PATH=/usr/bin", "GOMAXPROCS=1", "GOTRACEBACK=none"})
}

// split takes the command line of enter apart: the words that start this
// program's worker again, and at least an output limit and a verb.
func split(args []string) (self, rest []string, err error) {
	for i, a := range args {
		if a == "--" && len(args) >= i+3 {
			return args[:i:i], args[i+1:], nil
		}
	}
	return nil, nil, fmt.Errorf("image worker: malformed arguments")
}

func programPath() string { return "/proc/self/fd/" + strconv.Itoa(programFD) }

func inspect(declared image.Format) error {
	f := os.NewFile(inputFD, "image")
	if f == nil {
		return fmt.Errorf("image worker: no image on descriptor %d", inputFD)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return fmt.Errorf("image worker: %w", err)
	}
	return json.NewEncoder(os.Stdout).Encode(Inspect(f, st.Size(), declared))
}

const qemuImg = "/usr/bin/qemu-img"

// convertCommand makes qemu-img's command line: both formats explicit, no
// backing file whatever the image says, descriptors instead of names.
func convertCommand(args []string) (program string, argv []string, err error) {
	if len(args) != 2 {
		return "", nil, fmt.Errorf("image worker: convert needs two formats")
	}
	from, to := drivers[image.Format(args[0])], drivers[image.Format(args[1])]
	if from == "" || to == "" {
		return "", nil, fmt.Errorf("image worker: cannot convert %s to %s", args[0], args[1])
	}
	source := map[string]any{"driver": from, "read-only": true,
		"file": map[string]any{"driver": "file", "filename": "/proc/self/fd/" + strconv.Itoa(inputFD), "locking": "off"}}
	if from == "qcow2" || from == "vmdk" { // the drivers that know backing files
		source["backing"] = nil
	}
	text, err := json.Marshal(source)
	if err != nil {
		return "", nil, fmt.Errorf("image worker: %w", err)
	}
	return qemuImg, []string{"qemu-img", "convert", "-f", from, "-O", to, "json:" + string(text), "/proc/self/fd/" + strconv.Itoa(outputFD)}, nil
}

// drivers are qemu's names of the formats that can be converted.
var drivers = map[image.Format]string{
	image.Raw: "raw", image.QCOW2: "qcow2", image.VMDK: "vmdk", image.VHD: "vpc", image.VHDX: "vhdx", image.VDI: "vdi", image.Ploop: "parallels",
}

// Convertible tells whether contents of a format can be converted.
func Convertible(f image.Format) bool { return drivers[f] != "" }
