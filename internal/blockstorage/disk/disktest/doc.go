// Package disktest is the conformance suite of disk.Driver.
package disktest
