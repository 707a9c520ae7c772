// Package automaton says which states a kind of object has and how it passes
// from one to another. Each service declares its own in its contract, beside the
// states; doctor looks for states that there are not, and test clouds hold every
// committed change against the table.
package automaton
