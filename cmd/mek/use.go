package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/mekcloud/mek/internal/installation"
)

func envCommand(g *global) *cobra.Command {
	var cloud string
	var s3 bool
	c := &cobra.Command{Use: "env", Short: "Print variables for a shell: OS_, or AWS_ for S3", Args: cobra.NoArgs,
		Example: "  eval \"$(mek env --cloud demo)\"\n  eval \"$(mek env --cloud demo --s3)\"",
		RunE: func(c *cobra.Command, _ []string) error {
			i, err := g.installation()
			if err != nil {
				return err
			}
			if s3 {
				return i.ObjectEnvironment(c.Context(), cloud)
			}
			return i.Environment(cloud)
		}}
	c.Flags().BoolVar(&s3, "s3", false, "what S3's clients read; makes a key if there is none")
	c.Flags().StringVar(&cloud, "cloud", "admin", "admin or demo")
	return c
}

func launchCommand(g *global) *cobra.Command {
	var o installation.LaunchOptions
	c := &cobra.Command{Use: "launch [NAME]", Short: "A server with a floating address, waiting for ssh", Args: cobra.MaximumNArgs(1),
		Example: "  mek launch\n  mek launch web --flavor m1.small",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.Name = args[0]
			}
			i, err := g.installation()
			if err != nil {
				return err
			}
			return i.Launch(c.Context(), o)
		}}
	f := c.Flags()
	f.StringVar(&o.Flavor, "flavor", "m1.tiny", "name of the flavor")
	f.StringVar(&o.Image, "image", "tiny", "name of the image")
	f.StringVar(&o.Network, "network", "private", "name of the network")
	f.StringVar(&o.Key, "key-name", "demo", "name of the key pair")
	f.StringVar(&o.Cloud, "cloud", "demo", "admin or demo")
	f.BoolVar(&o.First, "first", false, "do nothing if a server was launched before")
	f.DurationVar(&o.Timeout, "timeout", 5*time.Minute, "how long to wait")
	return c
}

func sshCommand(g *global) *cobra.Command {
	var cloud string
	c := &cobra.Command{Use: "ssh NAME [COMMAND...]", Short: "Log in to a server by name", Args: cobra.MinimumNArgs(1),
		Example: "  mek ssh demo-1\n  mek ssh demo-1 uptime",
		RunE: func(c *cobra.Command, args []string) error {
			i, err := g.installation()
			if err != nil {
				return err
			}
			return i.SSH(c.Context(), cloud, args[0], args[1:])
		}}
	c.Flags().SetInterspersed(false) // what follows the name belongs to the command
	c.Flags().StringVar(&cloud, "cloud", "demo", "admin or demo")
	return c
}
