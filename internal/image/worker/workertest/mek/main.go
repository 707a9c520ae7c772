// This mek is nothing but an image worker, for tests.
package main

import (
	"os"

	"github.com/mekcloud/mek/internal/image/worker"
)

func main() { os.Exit(worker.Main(os.Args[2:])) }
