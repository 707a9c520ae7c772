package main

import (
	"log/slog"
	"os"
	"runtime/debug"
	"strings"

	"github.com/lmittmann/tint"
)

// logger writes to standard error: coloured for a terminal, JSON for a file.
// The level can be changed while it writes.
func logger(level string) (*slog.Logger, *slog.LevelVar) {
	l := &slog.LevelVar{}
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l.Set(slog.LevelInfo)
	}
	if fi, err := os.Stderr.Stat(); err == nil && fi.Mode()&os.ModeCharDevice != 0 {
		return slog.New(tint.NewHandler(os.Stderr, &tint.Options{Level: l, NoColor: os.Getenv("NO_COLOR") != ""})), l
	}
	return slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: l})), l
}

// version is what the build recorded.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "0.1-" + s.Value[:12]
		}
	}
	return "0.1" + strings.TrimPrefix(info.Main.Version, "(devel)")
}
