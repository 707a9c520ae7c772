package joining

import (
	"encoding/json"
	"fmt"
	"os"
)

// KnownFile is where a host remembers the servers of its cloud, in the agent's folder.
const KnownFile = "servers.json"

// Known are the servers that a host has heard of; none when it has not.
func Known(file string) []Door {
	var all Servers
	text, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(text, &all) != nil {
		return nil // the settings name one at least, which tells the others
	}
	return all.Servers
}

// Remember replaces what Known answers.
func Remember(file string, list []Door) error {
	text, err := json.Marshal(Servers{list})
	if err == nil {
		err = os.WriteFile(file+".part", text, 0o600)
	}
	if err == nil {
		err = os.Rename(file+".part", file)
	}
	if err != nil {
		return fmt.Errorf("remember servers: %w", err)
	}
	return nil
}
