package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/mekcloud/mek/internal/installation"
)

func joinCommand(g *global) *cobra.Command {
	var o installation.JoinOptions
	var image string
	c := &cobra.Command{Use: "join TOKEN", Short: "Make this machine a host of the cloud that made the token", Args: usageArgs(cobra.ExactArgs(1)),
		Example: "  mek agent join mek1.eyJhIjpb…",
		RunE: func(c *cobra.Command, args []string) error {
			o.Token = args[0]
			if g.flags = map[string]any{}; image != "" {
				g.flags["image"] = image
			}
			i, err := g.installation()
			if err != nil {
				return err
			}
			return i.Join(c.Context(), o)
		}}
	f := c.Flags()
	f.StringVar(&o.Name, "name", "", "of this host in the cloud (default: the machine's)")
	f.StringVar(&o.Address, "address", "", "of this machine for traffic between hosts (default: the one by which it reaches the server)")
	f.StringVar(&image, "image", "", "file of the tiny guest, whose kernel beside it is booted to try the accelerator")
	f.BoolVar(&o.NoInstall, "no-install", false, "list missing packages and stop")
	return c
}

func tokenCommand(g *global) *cobra.Command {
	var o installation.TokenOptions
	c := &cobra.Command{Use: "token", Short: "A word by which one machine can join this cloud, once", Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			i, err := g.installation()
			if err != nil {
				return err
			}
			return i.Token(c.Context(), o)
		}}
	c.Flags().StringVar(&o.Address, "address", "", "of this machine, as others reach it (default: that of --listen, or the one that leads outwards)")
	c.Flags().DurationVar(&o.Lifetime, "lifetime", 0, "how long it works, a day at most (default 1h)")
	return c
}

// hostCommands change one host of the cloud.
func hostCommands(g *global) []*cobra.Command {
	one := func(use, short string, do func(*installation.Installation, context.Context, string) error) *cobra.Command {
		return &cobra.Command{Use: use + " HOST", Short: short, Args: usageArgs(cobra.ExactArgs(1)), RunE: func(c *cobra.Command, args []string) error {
			i, err := g.installation()
			if err != nil {
				return err
			}
			return do(i, c.Context(), args[0])
		}}
	}
	return []*cobra.Command{
		one("drain", "Keep new servers off a host and move away what is there; servers stop while they move", (*installation.Installation).Drain),
		one("enable", "Let servers onto a host again", (*installation.Installation).Enable),
		one("remove", "Take an empty host out of the cloud; its certificate is refused at once", (*installation.Installation).RemoveHost),
	}
}
