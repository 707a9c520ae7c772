package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/app"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/installation"
)

// load reads the configuration of a long-running process.
func (g *global) load() (config.Config, *slog.Logger, error) {
	if err := errors.Join(noCore(), closeMemory()); err != nil {
		return config.Config{}, nil, err
	}
	c, err := config.Load(g.dataDir, os.Environ(), nil)
	if err != nil {
		return c, nil, usageError{err}
	}
	log, _ := logger(c.LogLevel)
	return c, log, nil
}

// ended tells an end that was asked for by a signal from a failure.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx))) {
		return nil
	}
	return err
}

func serverCommand(g *global) *cobra.Command {
	return &cobra.Command{Use: "server", Short: "The API and control plane (mek up starts it)", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			conf, _, err := g.load()
			if err != nil {
				return err
			}
			log, level := logger(conf.LogLevel)
			s := conf.Server()
			for name, fd := range map[string]*int{"MEK_LISTEN_FD": &s.ListenFD, "MEK_OBJECT_LISTEN_FD": &s.ObjectListenFD} {
				if text := os.Getenv(name); text != "" {
					if *fd, err = strconv.Atoi(text); err != nil {
						return usageError{fmt.Errorf("%s: %w", name, err)}
					}
					unix.CloseOnExec(*fd)
				}
			}
			return ended(c.Context(), app.RunServer(c.Context(), s, log, level))
		}}
}

func agentCommand(g *global) *cobra.Command {
	var simulate bool
	c := &cobra.Command{Use: "agent", Short: "What a host runs (mek up starts it)", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if simulate {
				return ended(c.Context(), runSimulatedAgent(c.Context(), g))
			}
			return ended(c.Context(), runAgent(c.Context(), g))
		}}
	c.Flags().BoolVar(&simulate, "simulate", false, "simulate the host in memory; needs no privilege")
	c.AddCommand(joinCommand(g), tokenCommand(g))
	return c
}

func superviseCommand(g *global) *cobra.Command {
	return &cobra.Command{Use: "supervise", Short: "Keep the cloud's processes running (mek up starts it)", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			conf, log, err := g.load()
			if err != nil {
				return err
			}
			i, err := installation.New(installation.Options{DataDir: conf.DataDir, Env: os.Environ(), Print: g.printer(), Clock: clock.Real{}, Log: log, Version: version()})
			if err != nil {
				return err
			}
			return ended(c.Context(), i.Supervise(c.Context()))
		}}
}
