// Package sim keeps volumes in memory as sizes and contents by name, for
// simulated hosts. It can be told to be slow and to fail.
package sim
