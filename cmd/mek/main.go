// Command mek is OpenStack in one program: the server, the agent of a host, and
// the commands that put a cloud on a machine, look at it and take it off.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/image/worker"
	"github.com/mekcloud/mek/internal/installation"
)

// imageWorker is the hidden word by which the agent and the server run this
// program as a sandboxed reader of images.
const imageWorker = "image-worker"

func main() {
	if len(os.Args) > 1 && os.Args[1] == imageWorker {
		os.Exit(worker.Main(os.Args[2:])) // before anything else is set up: this process reads hostile bytes
	}
	runtime.MemProfileRate = 0 // nothing here tells of it, and its tables take three megabytes
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	g := &global{}
	root := newRoot(g)
	err := root.ExecuteContext(ctx)
	if err != nil {
		g.printer().Fail(err)
	}
	code := installation.ExitCode(err)
	var usage usageError
	if errors.As(err, &usage) {
		code = installation.ExitUsage
	}
	os.Exit(code)
}

// usageError is a command line that makes no sense.
type usageError struct{ error }

// global are the flags that every command has.
type global struct {
	dataDir string
	json    bool
	quiet   bool
	print   *installation.Printer
	flags   map[string]any // configuration keys given on the command line
}

func newRoot(g *global) *cobra.Command {
	root := &cobra.Command{
		Use: "mek", Short: "OpenStack in one program", Version: version(), SilenceErrors: true, SilenceUsage: true,
		Long: "mek operates an installation; the cloud itself is used with the standard openstack client.\n\n" +
			"  mek up            a cloud on this machine\n  mek launch        a first server, then ssh\n  mek status        how it is\n" +
			"  mek uninstall     take it off again",
	}
	root.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		text := fmt.Sprintf("there is no command %q", args[0])
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			text += "\nDid you mean:  mek " + strings.Join(near, ", mek ")
		}
		return usageError{errors.New(text)}
	}
	root.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w\nSee:  %s --help", err, c.CommandPath())}
	})
	f := root.PersistentFlags()
	f.StringVar(&g.dataDir, "data-dir", defaultDataDir(), "where the cloud lives")
	f.BoolVar(&g.json, "json", false, "one JSON object on standard output")
	f.BoolVarP(&g.quiet, "quiet", "q", false, "print errors only")
	for _, add := range []func(*global) *cobra.Command{
		upCommand, downCommand, statusCommand, waitCommand, envCommand, launchCommand, sshCommand, doctorCommand, uninstallCommand,
		routesCommand, adminCommand, backupCommand, serverCommand, agentCommand, superviseCommand,
	} {
		c := add(g)
		c.Args = usageArgs(c.Args)
		root.AddCommand(c)
	}
	return root
}

// usageArgs marks a wrong number of words as wrong usage.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if check == nil {
			return nil
		}
		if err := check(c, args); err != nil {
			return usageError{fmt.Errorf("%w\nSee:  %s --help", err, c.CommandPath())}
		}
		return nil
	}
}

func defaultDataDir() string {
	if dir := os.Getenv("MEK_DATA_DIR"); dir != "" {
		return dir
	}
	return installation.DefaultDataDir()
}

// printer is made once the flags are known.
func (g *global) printer() *installation.Printer {
	if g.print == nil {
		g.print = installation.NewPrinter(os.Stdout, os.Stderr, g.json, g.quiet)
	}
	return g.print
}

// installation opens the cloud that the flags mean.
func (g *global) installation() (*installation.Installation, error) {
	log, _ := logger("warn")
	return installation.New(installation.Options{DataDir: g.dataDir, Flags: g.flags, Env: os.Environ(), Print: g.printer(), Clock: clock.Real{},
		Log: log, Version: version()})
}
