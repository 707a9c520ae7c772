//go:build !later

package main

import (
	"context"

	"github.com/mekcloud/mek/internal/installation"
)

// runAgent says so: the agent's parts are not put together yet.
func runAgent(context.Context, *global) error { return installation.NotBuilt("the agent") }
