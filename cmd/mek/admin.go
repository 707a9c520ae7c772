package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/task"
)

func adminCommand(g *global) *cobra.Command {
	c := &cobra.Command{Use: "admin", Short: "Explain a stuck cloud"}
	hosts := &cobra.Command{Use: "hosts", Short: "Hosts as the server sees them", Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			i, err := g.installation()
			if err != nil {
				return err
			}
			return i.Hosts(c.Context())
		}}
	hosts.AddCommand(hostCommands(g)...)
	c.AddCommand(hosts)
	c.AddCommand(keptCommand(g))
	c.AddCommand(&cobra.Command{Use: "tasks", Short: "Long work that is under way, and clean-up that waits", Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return g.tasks(c.Context()) }})
	return c
}

// tasks reads the database itself, so that it also works when the server does not.
func (g *global) tasks(ctx context.Context) error {
	conf, log, err := g.load()
	if err != nil {
		return err
	}
	d, err := db.Open(ctx, conf.Database)
	if err != nil {
		return err
	}
	defer d.Close()
	engine := task.New(task.Options{DB: d, Clock: clock.Real{}, Log: log, Owner: "mek admin"})
	work, err := engine.List(ctx, d)
	if err != nil {
		return err
	}
	cleanups, err := engine.Cleanups(ctx, d)
	if err != nil {
		return err
	}
	if g.json {
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", "  ")
		return out.Encode(map[string]any{"tasks": work, "cleanups": cleanups})
	}
	for _, w := range work {
		fmt.Printf("%+v\n", w)
	}
	for _, c := range cleanups {
		fmt.Printf("clean-up %+v\n", c)
	}
	if len(work)+len(cleanups) == 0 {
		fmt.Println("  nothing is under way and nothing waits")
	}
	return nil
}
