package main

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mekcloud/mek/test/measured"
)

// leastShare of an operation's processor time that the page names.
const leastShare = 0.04

// where tells of every promised row that was profiled where its time goes. What
// the operation waits for is what is left of its time: disk, network, clients.
func (b *book) where(out *bytes.Buffer) {
	var lines []string
	for _, r := range rows() {
		l, ok := b.one(r.name)
		if !ok || len(l.Where) == 0 {
			continue
		}
		time, unit := l.Value, l.Unit
		if whole, ok := b.one(strings.TrimSuffix(r.name, "/rate")); ok { // of a rate the time of the whole body
			time, unit = whole.Value, whole.Unit
		}
		lines = append(lines, fmt.Sprintf("| %s | %s | %s %s | %s ms | %s |\n", r.what, b.verdict(r, l), number(time), unit, number(l.CPU), parts(l)))
	}
	if len(lines) == 0 {
		return
	}
	out.WriteString("\n## Where the time goes\n\nBy a profile of the server while one client asks, after the rounds: shares of its processor time, from 4 % on, by what the innermost " +
		"function that says so belongs to. The time is the client's; its own part, what the kernel does for it, and waiting for the disk are in it. " +
		"More processor time than time: work that goes on after the answer.\n\n" +
		"| What | Reached | Time | Processor time | Of it |\n|---|---|--:|--:|---|\n")
	out.WriteString(strings.Join(lines, ""))
}

// parts are the areas of a line, the greatest first.
func parts(l measured.Line) string {
	names := slices.SortedFunc(maps.Keys(l.Where), func(a, b string) int {
		return cmp.Or(cmp.Compare(l.Where[b], l.Where[a]), cmp.Compare(a, b))
	})
	var out []string
	for _, name := range names {
		if l.Where[name] >= leastShare {
			out = append(out, fmt.Sprintf("%s %.0f %%", name, 100*l.Where[name]))
		}
	}
	return strings.Join(out, ", ")
}
