package model

import (
	"testing"

	"github.com/anishathalye/porcupine"
)

// A read of what was overwritten before it began is found.
func TestStaleReadIsFound(t *testing.T) {
	history := []porcupine.Operation{
		{Input: verb{true, "a"}, Output: "", Call: 0, Return: 1},
		{Input: verb{true, "b"}, Output: "", Call: 2, Return: 5},
		{ClientId: 1, Input: verb{}, Output: "a", Call: 3, Return: 4}, // beside the write: fine
	}
	if !porcupine.CheckOperations(oneAtATime, history) {
		t.Error("a read beside a write may see either")
	}
	history = append(history, porcupine.Operation{ClientId: 1, Input: verb{}, Output: "a", Call: 6, Return: 7})
	if porcupine.CheckOperations(oneAtATime, history) {
		t.Error("a stale read was not found")
	}
}
