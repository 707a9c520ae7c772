package main

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/test/measured"
)

// book finds lines: of several measurements of one thing the last counts.
type book struct {
	lines    map[string]measured.Line
	commands []string
}

func keyOf(name string, clients int, transport string) string {
	return fmt.Sprintf("%s|%d|%s", name, max(clients, 1), transport)
}

func newBook(lines []measured.Line) *book {
	b := &book{lines: map[string]measured.Line{}}
	for _, l := range lines {
		b.lines[keyOf(l.Name, l.Clients, l.Transport)] = l
	}
	return b
}

// one is a line of one client; of requests the one over plain HTTP.
func (b *book) one(name string) (measured.Line, bool) {
	for _, transport := range []string{"http", ""} {
		if l, ok := b.lines[keyOf(name, 1, transport)]; ok && (l.Value != 0 || l.Samples > 0) {
			return l, true
		}
	}
	return measured.Line{}, false
}

// limit is what the machine does at best: measured between the rounds of the row
// if it was, and otherwise by itself.
func (b *book) limit(r row) (value float64, ok bool) {
	l := r.limit
	measurement, _, _ := strings.Cut(r.name, "/")
	for i, name := range l.names {
		line, found := b.one("beside/" + measurement + "/" + strings.TrimPrefix(name, "limit/"))
		if !found {
			line, found = b.one(name)
		}
		switch {
		case !found:
			return 0, false
		case l.least && i > 0:
			value = min(value, line.Value)
		default:
			value += line.Value
		}
	}
	return value, len(l.names) > 0
}

// command numbers commands as they come.
func (b *book) command(l measured.Line) string {
	if l.Command == "" {
		return ""
	}
	i := slices.Index(b.commands, l.Command)
	if i < 0 {
		i = len(b.commands)
		b.commands = append(b.commands, l.Command)
	}
	return fmt.Sprint(i + 1)
}

func page(lines []measured.Line) []byte {
	var out bytes.Buffer
	b := newBook(lines)
	out.WriteString("# Performance\n\nWritten by `make limits`, `make bench` and `make scale` from what they measured; do not edit.\n\n")
	for _, field := range []struct {
		title string
		of    func(measured.Line) string
	}{{"Machine", func(l measured.Line) string { return l.Machine }}, {"Commit", func(l measured.Line) string { return l.Commit }},
		{"Measured", func(l measured.Line) string { return l.At[:min(10, len(l.At))] }},
		{"Load of the machine before, by others", load}} {
		seen := map[string]bool{}
		for _, l := range lines {
			if v := field.of(l); v != "" {
				seen[v] = true
			}
		}
		fmt.Fprintf(&out, "%s: %s.\n\n", field.title, cmp.Or(strings.Join(slices.Sorted(maps.Keys(seen)), "; "), "unknown"))
	}
	out.WriteString("Everything is on: policy, audit, events, durable commits. Times are medians, with the least and the greatest median of the rounds behind them; one client, plain HTTP on loopback, " +
		"as the peer has it, unless said otherwise. The peer is a real OpenStack on the same machine, measured by turns in the same run; the ratio is of rounds, above 1 Mek is the better. " +
		"CPU is the processor time of an operation. \"of limit\" is beside what the machine does at best (below), measured between the rounds.\n")
	b.promises(&out)
	b.where(&out)
	b.limits(&out, lines)
	b.others(&out, lines)
	out.WriteString("\n## Growth\n\n`make scale` asks hot operations again with 10, 100 and 1,000 times the rows.\n\n![on SQLite](growth-sqlite.svg)\n\n![on PostgreSQL](growth-postgres.svg)\n")
	out.WriteString("\n## Commands\n\n")
	for i, c := range b.commands {
		fmt.Fprintf(&out, "%d. `%s`\n", i+1, c)
	}
	return out.Bytes()
}

// load says how busy the machine was. Much beside what is measured makes every
// time longer than it is.
func load(l measured.Line) string {
	switch {
	case l.Load == 0:
		return ""
	case l.Load > busy:
		return number(l.Load) + " (too much: figures are provisional)"
	}
	return "at most " + number(busy)
}

// busy is the load average from which on figures are not to be trusted.
const busy = 0.7

func (b *book) promises(out *bytes.Buffer) {
	out.WriteString("\n## What is promised\n\n| What | Asked | Mek | over TLS | Peer | Ratio | CPU, peer's | of limit | Reached | Command |\n|---|---|--:|--:|--:|--:|--:|--:|---|--:|\n")
	for _, r := range rows() {
		l, ok := b.one(r.name)
		if !ok {
			why := "not measured"
			if l, known := b.lines[keyOf(r.name, 1, "")]; known && l.Note != "" {
				why = l.Note
			}
			fmt.Fprintf(out, "| %s | %s | | | | | | | %s | |\n", r.what, r.asked(), why)
			continue
		}
		tls, peer, ratio, cpu, share := "", "", "", "", ""
		if t, ok := b.lines[keyOf(r.name, 1, "https")]; ok {
			tls = number(t.Value)
		}
		if l.Peer != nil {
			peer = number(l.Peer.Value)
		}
		if l.Ratio != nil {
			ratio = spread(*l.Ratio) + " ×"
		}
		if l.CPU > 0 {
			cpu = number(l.CPU) + " ms"
			if l.PeerCPU > 0 {
				cpu += ", " + number(l.PeerCPU)
			}
		}
		if limit, ok := b.limit(r); ok {
			share = number(r.share(l.Value, limit)) + " ×"
		}
		fmt.Fprintf(out, "| %s | %s | %s %s | %s | %s | %s | %s | %s | %s | %s |\n", r.what, r.asked(), spread(l.Spread), r.unit, tls, peer, ratio, cpu, share, b.verdict(r, l), b.command(l))
	}
}

// asked says what is promised.
func (r row) asked() string {
	var all []string
	if r.peer > 0 {
		all = append(all, "≥ "+number(r.peer)+" × the peer")
	}
	if r.peerCPU > 0 {
		all = append(all, "CPU ≤ "+number(r.peerCPU)+" × the peer's")
	}
	if what := strings.ReplaceAll(strings.Join(r.limit.names, " + "), "limit/", ""); r.limit.most > 0 {
		all = append(all, "≤ "+number(r.limit.most)+" × "+what)
	} else if r.limit.share > 0 {
		if r.limit.least {
			what = "min(" + strings.ReplaceAll(what, " + ", ", ") + ")"
		}
		all = append(all, "≥ "+number(r.limit.share)+" × "+what)
	}
	if r.bound > 0 && r.atLeast {
		all = append(all, "≥ "+number(r.bound)+" "+r.unit)
	} else if r.bound > 0 {
		all = append(all, "≤ "+number(r.bound)+" "+r.unit)
	}
	return strings.Join(all, "; ")
}

// share is a value beside its limit, the way it is asked for: a rate, or a time.
func (r row) share(value, limit float64) float64 {
	if r.limit.share > 0 && r.unit == "ms" && value > 0 {
		return limit / value
	}
	if limit == 0 {
		return 0
	}
	return value / limit
}

// verdict is whether a row holds all that it promises.
func (b *book) verdict(r row, l measured.Line) string {
	var missed, unknown []string
	note := func(known, ok bool, what string) {
		if !known {
			unknown = append(unknown, what)
		} else if !ok {
			missed = append(missed, what)
		}
	}
	if r.peer > 0 {
		note(l.Ratio != nil, l.Ratio != nil && l.Ratio.Value >= r.peer, "peer")
	}
	if r.peerCPU > 0 {
		note(l.PeerCPU > 0 && l.CPU > 0, l.CPU <= r.peerCPU*l.PeerCPU, "peer's CPU")
	}
	if r.limit.names != nil {
		limit, ok := b.limit(r)
		share := r.share(l.Value, limit)
		note(ok, (r.limit.most == 0 || share <= r.limit.most) && share >= r.limit.share, "limit")
	}
	if r.bound > 0 {
		note(true, r.atLeast && l.Value >= r.bound || !r.atLeast && l.Value <= r.bound, "bound")
	}
	verdict := "yes"
	if len(missed) > 0 {
		verdict = "**no** (" + strings.Join(missed, ", ") + ")"
	} else if len(unknown) > 0 {
		verdict = "open"
	}
	if hosts, servers := b.lines[keyOf("scale/hosts", 1, "")].Value, b.lines[keyOf("scale/servers", 1, "")].Value; strings.HasPrefix(r.name, "scale/") && (hosts < 10_000 || servers < 1_000_000) {
		verdict = "**no** (measured with " + number(hosts) + " hosts and " + number(servers) + " servers)"
	}
	if len(unknown) > 0 {
		verdict += "; " + strings.Join(unknown, ", ") + " not measured"
	}
	if l.Errors > 0 {
		verdict += fmt.Sprintf("; %d errors", l.Errors)
	}
	return verdict
}

func (b *book) limits(out *bytes.Buffer, lines []measured.Line) {
	out.WriteString("\n## What the machine does at best\n\n| Limit | Median (least–most) | Samples | How |\n|---|--:|--:|---|\n")
	for _, l := range b.inOrder(lines) {
		name, ok := strings.CutPrefix(l.Name, "limit/")
		if what, between := strings.CutPrefix(l.Name, "beside/"); between {
			row, limit, _ := strings.Cut(what, "/")
			name, ok = limit+", between the rounds of "+row, true
		}
		if ok {
			fmt.Fprintf(out, "| %s | %s %s | %d | %s |\n", name, spread(l.Spread), l.Unit, l.Samples, l.Note)
			b.command(l)
		}
	}
}

// others are the lines that no promise shows.
func (b *book) others(out *bytes.Buffer, lines []measured.Line) {
	shown := map[string]bool{}
	for _, r := range rows() {
		shown[keyOf(r.name, 1, "http")], shown[keyOf(r.name, 1, "https")], shown[keyOf(r.name, 1, "")] = true, true, true
	}
	out.WriteString("\n## Measured besides\n\n| What | Clients | Over | Median (least–most) | Peer | Ratio | CPU, peer's | Errors | Note | Command |\n|---|--:|---|--:|--:|--:|--:|--:|---|--:|\n")
	for _, l := range b.inOrder(lines) {
		if strings.HasPrefix(l.Name, "limit/") || strings.HasPrefix(l.Name, "beside/") || strings.HasPrefix(l.Name, "growth/") || shown[keyOf(l.Name, l.Clients, l.Transport)] {
			continue
		}
		peer, ratio, cpu := "", "", ""
		if l.Peer != nil && l.Ratio != nil {
			peer, ratio = number(l.Peer.Value), spread(*l.Ratio)+" ×"
		}
		if l.CPU > 0 {
			cpu = number(l.CPU) + " ms"
			if l.PeerCPU > 0 {
				cpu += ", " + number(l.PeerCPU)
			}
		}
		fmt.Fprintf(out, "| %s | %d | %s | %s %s | %s | %s | %s | %d | %s | %s |\n", l.Name, max(l.Clients, 1), l.Transport, spread(l.Spread), l.Unit, peer, ratio, cpu, l.Errors, l.Note, b.command(l))
	}
}

// inOrder gives the lines that count, as they came.
func (b *book) inOrder(lines []measured.Line) []measured.Line {
	var out []measured.Line
	seen := map[string]bool{}
	for _, l := range lines {
		key := keyOf(l.Name, l.Clients, l.Transport)
		if !seen[key] {
			seen[key] = true
			out = append(out, b.lines[key])
		}
	}
	return out
}

func spread(s measured.Spread) string {
	if s.Least == s.Most {
		return number(s.Value)
	}
	return fmt.Sprintf("%s (%s–%s)", number(s.Value), number(s.Least), number(s.Most))
}

// number has three digits that count, or all of what is larger.
func number(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 100 || v <= -100:
		return thousands(strconv.FormatFloat(v, 'f', 0, 64))
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func thousands(digits string) string {
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}
