// Package messages tells users why work that they asked for failed after it
// had been accepted. A message is written in the transaction that records the
// failure, and kept for thirty days.
package messages
