// Package preflight looks at a machine before a cloud is put on it. All checks
// run and all results are shown at once. A check says ok, limited (works, with
// less) or blocked; it prefers limited, and always says what to do.
//
// Nothing is changed here. Some checks find choices as well: a free port, a
// range that overlaps no route.
package preflight
