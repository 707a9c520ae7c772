// Package mappings keeps the mappings of OS-FEDERATION: rules that say who
// somebody is here for whom an identity provider vouches.
//
// Invariants: rules are only kept when package mapping accepts them; what is
// compiled of them is what the row says at that moment.
//
// A mapping may be deleted while protocols name it, as upstream allows: those
// protocols let nobody in until there is one of that id again. Rejected: to
// refuse it (scripts that replace a mapping by deleting it first would fail).
package mappings
