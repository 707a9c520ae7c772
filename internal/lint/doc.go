// Package lint is the style rules that a machine can check, as a test over the
// tree. It reads the syntax of every Go file and nothing else: no types, no
// external tool, so it takes a second and never disagrees with a build tag.
//
// Each rule has bad and good snippets in testdata that show it can fail. What a
// rule must let pass is said in its own table, with the reason; there are no
// markers in the code that silence it, because those spread.
package lint
