package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mekcloud/mek/internal/installation"
)

func doctorCommand(g *global) *cobra.Command {
	var before bool
	c := &cobra.Command{Use: "doctor", Short: "Check host and cloud; exit code 3 when something is violated", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			i, err := g.installation()
			if err != nil {
				return err
			}
			return i.Doctor(c.Context(), before)
		}}
	c.Flags().BoolVar(&before, "before-install", false, "look at the machine only")
	return c
}

func uninstallCommand(g *global) *cobra.Command {
	var o installation.UninstallOptions
	var yes bool
	c := &cobra.Command{Use: "uninstall", Short: "Take the cloud off this machine; data stays unless --purge", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			i, err := g.installation()
			if err != nil {
				return err
			}
			if !yes {
				o.Confirm = confirm
			}
			return i.Uninstall(c.Context(), o)
		}}
	c.Flags().BoolVar(&o.Purge, "purge", false, "remove the data directory too: every server, volume and image is lost")
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return c
}

// confirm asks for the name of this host, as a thing nobody types by accident.
func confirm(question string) bool {
	host, err := os.Hostname()
	if err != nil {
		return false
	}
	fmt.Fprintf(os.Stderr, "\n  %s (%s): ", question, host)
	answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
	return err == nil && strings.TrimSpace(answer) == host
}
