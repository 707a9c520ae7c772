package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/mekcloud/mek/internal/installation"
)

func upCommand(g *global) *cobra.Command {
	var listen, image, shipTo string
	var bare, insecure, noInstall, detach, serverOnly bool
	var simulate int
	c := &cobra.Command{
		Use: "up", Short: "Start the cloud, or repair it; returns when it is ready", Args: cobra.NoArgs,
		Example: "  sudo mek up\n  mek up --simulate 3 --data-dir ~/try",
		RunE: func(c *cobra.Command, _ []string) error {
			given := c.Flags().Changed
			g.flags = map[string]any{}
			for key, flag := range map[string]struct {
				name  string
				value any
			}{"listen": {"listen", listen}, "bare": {"bare", bare}, "insecure_http": {"insecure-http", insecure}, "simulate": {"simulate", simulate}, "image": {"image", image},
				"server_only": {"server-only", serverOnly}, "ship_to": {"ship-to", shipTo}} {
				if given(flag.name) {
					g.flags[key] = flag.value
				}
			}
			if insecure && !given("listen") {
				g.flags["listen"] = "127.0.0.1:8080" // plain HTTP is for loopback only
			}
			i, err := g.installation()
			if err != nil {
				return err
			}
			return i.Up(c.Context(), installation.UpOptions{NoInstall: noInstall, ListenGiven: given("listen")})
		},
	}
	f := c.Flags()
	f.StringVar(&listen, "listen", "", "HOST:PORT of the API (default 0.0.0.0:443, 8443 without root)")
	f.StringVar(&image, "image", "", "file of the image named tiny")
	f.StringVar(&shipTo, "ship-to", "", "folder, best on another disk, that the database's log is copied to while it is written")
	f.BoolVar(&bare, "bare", false, "make no sample flavors, image, networks or keys")
	f.BoolVar(&insecure, "insecure-http", false, "plain HTTP, on loopback only")
	f.BoolVar(&insecure, "insecure-loopback", false, "the same")
	f.BoolVar(&noInstall, "no-install", false, "list missing packages and stop")
	f.BoolVar(&detach, "detach", true, "return when ready (always so)")
	f.BoolVar(&serverOnly, "server-only", false, "a further server of a cloud on PostgreSQL: no host and no network engines on this machine")
	f.IntVar(&simulate, "simulate", 0, "number of simulated hosts instead of this machine; needs no privilege")
	return c
}

func downCommand(g *global) *cobra.Command {
	var guests bool
	c := &cobra.Command{Use: "down", Short: "Stop the cloud; guests go on", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		i, err := g.installation()
		if err != nil {
			return err
		}
		return i.Down(c.Context(), guests)
	}}
	c.Flags().BoolVar(&guests, "guests", false, "shut the guests down as well")
	return c
}

func statusCommand(g *global) *cobra.Command {
	return &cobra.Command{Use: "status", Short: "How the cloud is; exit code 3 when not all is well", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			i, err := g.installation()
			if err != nil {
				return err
			}
			return i.Status(c.Context())
		}}
}

func waitCommand(g *global) *cobra.Command {
	var timeout time.Duration
	c := &cobra.Command{Use: "wait", Short: "Return when the cloud is ready; exit code 5 after the timeout", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			i, err := g.installation()
			if err != nil {
				return err
			}
			return i.Wait(c.Context(), timeout)
		}}
	c.Flags().DurationVar(&timeout, "timeout", 2*time.Minute, "how long to wait")
	return c
}
