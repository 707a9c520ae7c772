// Package report is what fault tests have in common: a seed that reproduces, a
// length that "make soak" stretches, and one line of figures in the file that
// MEK_REPORT names, from which tools/reliability writes docs/reliability.md.
//
// A test takes part by calling Start; tools/soak finds it by that, and by
// nothing else.
package report
