package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/hoststate"
	"github.com/mekcloud/mek/internal/installation"
)

func backupCommand(g *global) *cobra.Command {
	c := &cobra.Command{Use: "backup", Short: "The control plane in one file, and back"}
	var withKey, yes bool
	var o installation.RestoreOptions
	create := &cobra.Command{Use: "create [FILE|FOLDER]", Short: "Write database, index of objects, settings, certificates and sealed secrets, while the cloud runs",
		Args: usageArgs(cobra.MaximumNArgs(1)), RunE: func(c *cobra.Command, args []string) error {
			i, err := g.installation()
			if err != nil {
				return err
			}
			to := ""
			if len(args) > 0 {
				to = args[0]
			}
			return i.BackupCreate(c.Context(), to, withKey)
		}}
	create.Flags().BoolVar(&withKey, "with-master-key", false, "put the key in that opens every secret")
	verify := &cobra.Command{Use: "verify FILE|FOLDER", Short: "Check sums, schema and integrity", Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			i, err := g.installation()
			if err != nil {
				return err
			}
			return i.BackupVerify(c.Context(), args[0])
		}}
	restore := &cobra.Command{Use: "restore FILE|FOLDER", Short: "Put a backup, or the database of a shipped log, in place of a stopped cloud; what is there is kept", Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			i, err := g.installation()
			if err != nil {
				return err
			}
			if !yes {
				o.Confirm = confirm
			}
			return i.BackupRestore(c.Context(), args[0], o)
		}}
	restore.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	restore.Flags().StringVar(&o.KeyFile, "master-key", "", "file with the master key, when it is neither inside nor here")
	restore.Flags().BoolVar(&o.WithIndex, "with-object-index", false, "put the index of objects back even though there is one")
	c.AddCommand(create, verify, restore)
	return c
}

// keptCommand lists what hosts keep since the database went back in time. It
// reads the database itself, so that it also works when the server does not.
func keptCommand(g *global) *cobra.Command {
	c := &cobra.Command{Use: "kept", Short: "What hosts have and a restored database does not know", Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			conf, _, err := g.load()
			if err != nil {
				return err
			}
			d, err := db.Open(c.Context(), conf.Database)
			if err != nil {
				return err
			}
			defer d.Close()
			list, err := hoststate.KeptObjects(c.Context(), d)
			if err != nil {
				return err
			}
			if g.json {
				return json.NewEncoder(os.Stdout).Encode(map[string]any{"kept": list})
			}
			for _, k := range list {
				fmt.Printf("%-20s  %-8s  %-8s  %s  since %s\n", k.Host, k.Section, k.Kind, k.Object, clock.FromMicros(k.Since).Format("2006-01-02 15:04:05"))
			}
			if len(list) == 0 {
				fmt.Println("  hosts keep nothing")
			}
			return nil
		}}
	c.AddCommand(&cobra.Command{Use: "release HOST ID", Short: "Have a host remove what it holds in quarantine, for good", Args: usageArgs(cobra.ExactArgs(2)),
		RunE: func(c *cobra.Command, args []string) error {
			i, err := g.installation()
			if err != nil {
				return err
			}
			return i.ReleaseKept(c.Context(), args[0], args[1])
		}})
	return c
}
