package installation

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// Printer writes what people read: one line per step. Without a terminal, or
// with NO_COLOR, the same lines come without colour.
type Printer struct {
	Out   io.Writer // data, and progress for people
	Err   io.Writer // warnings; progress when JSON
	JSON  bool
	Quiet bool
	Color bool
}

// NewPrinter writes to the two streams; colour only if out is a terminal.
func NewPrinter(out, err *os.File, asJSON, quiet bool) *Printer {
	fi, statErr := out.Stat()
	terminal := statErr == nil && fi.Mode()&os.ModeCharDevice != 0
	return &Printer{Out: out, Err: err, JSON: asJSON, Quiet: quiet, Color: terminal && os.Getenv("NO_COLOR") == ""}
}

// Marks before a step's line.
const (
	markDone    = "✓"
	markLimited = "!"
	markFailed  = "✗"
)

func (p *Printer) paint(mark string) string {
	code := map[string]string{markDone: "32", markLimited: "33", markFailed: "31"}[mark]
	if !p.Color || code == "" {
		return mark
	}
	return "\x1b[" + code + "m" + mark + "\x1b[0m"
}

// step prints one line: a mark, a name and what is to say about it.
func (p *Printer) step(mark, name, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if p.JSON {
		p.event(map[string]string{"step": name, "mark": mark, "text": text})
		return
	}
	if !p.Quiet {
		p.write(p.Out, fmt.Sprintf("  %s %-17s %s", p.paint(mark), name, text))
	}
}

// line prints text for people; nothing when output is for machines.
func (p *Printer) line(format string, args ...any) {
	if !p.JSON && !p.Quiet {
		p.write(p.Out, strings.TrimRight(fmt.Sprintf(format, args...), " "))
	}
}

// note tells something beside the data, where that does not disturb it.
func (p *Printer) note(format string, args ...any) {
	if !p.JSON && !p.Quiet {
		p.write(p.Err, strings.TrimRight(fmt.Sprintf(format, args...), " "))
	}
}

// data prints what the command was asked for, to standard output.
func (p *Printer) data(format string, args ...any) { p.write(p.Out, fmt.Sprintf(format, args...)) }

// object prints one JSON object, indented, to standard output.
func (p *Printer) object(v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode output: %w", err)
	}
	p.write(p.Out, string(b))
	return nil
}

func (p *Printer) event(v any) {
	b, err := json.Marshal(v)
	if err == nil {
		p.write(p.Err, string(b))
	}
}

func (p *Printer) write(w io.Writer, text string) {
	_, _ = fmt.Fprintln(w, text) // a reader that left needs no output
}

// Fail prints an error for a person, or as an object.
func (p *Printer) Fail(err error) {
	if p.JSON {
		p.event(map[string]any{"error": err.Error(), "exit": ExitCode(err)})
		return
	}
	for i, line := range strings.Split(err.Error(), "\n") {
		if i == 0 {
			p.write(p.Err, fmt.Sprintf("  %s %s", p.paint(markFailed), line))
		} else {
			p.write(p.Err, "    "+line)
		}
	}
}
