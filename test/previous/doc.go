// Package previous makes the program of the release before, for tests of
// upgrades: the commit before the one that brought the newest migration, so that
// the schemas differ. It is built from the history of the tree.
//
// A clone without that history cannot build it; MEK_TEST_PREVIOUS may name a binary
// instead, and otherwise the test is skipped and says so.
package previous
