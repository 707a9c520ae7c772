package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/google/pprof/profile"
)

// area is something that processor time goes into, known by how the names of
// its functions begin.
type area struct {
	name  string
	begin []string
}

// areas are asked from the innermost call outwards; the first that knows a
// function has the time. What a function of the runtime or the standard library
// does for others, as copying, is theirs.
var areas = []area{
	{"garbage collection", []string{"runtime.gcBgMarkWorker", "runtime.gcAssist", "runtime.bgsweep", "runtime.bgscavenge"}},
	{"scheduling", []string{"runtime.schedule", "runtime.findRunnable", "runtime.park_m", "runtime.mstart", "runtime.sysmon", "runtime.wakep"}},
	{"password hash", []string{"golang.org/x/crypto/argon2", "golang.org/x/crypto/blake2b", "golang.org/x/crypto/bcrypt"}},
	{"digests", []string{"crypto/md5", "crypto/sha512", "crypto/sha256", "crypto/sha1", "crypto/internal/fips140/sha"}},
	{"other cryptography", []string{"crypto/"}},
	{"database", []string{"modernc.org/", "github.com/jackc/pgx"}},
	{"object index", []string{"github.com/cockroachdb/"}},
	{"database calls", []string{"database/sql", "github.com/mekcloud/mek/internal/db"}},
	{"files", []string{"os.(*File)"}},
	{"HTTP", []string{"net/http", "net.", "net/textproto", "bufio."}},
	{"JSON", []string{"encoding/json", "github.com/go-json-experiment"}},
	{"logging and metrics", []string{"log/slog", "github.com/prometheus"}},
	{"bus", []string{"github.com/nats-io"}},
}

const own = "github.com/mekcloud/mek/internal/"

// areaOf names what a function belongs to; empty: to whoever called it.
func areaOf(function string) string {
	for _, a := range areas {
		for _, begin := range a.begin {
			if strings.HasPrefix(function, begin) {
				return a.name
			}
		}
	}
	if rest, ok := strings.CutPrefix(function, own); ok {
		name, _, _ := strings.Cut(rest, "/")
		name, _, _ = strings.Cut(name, ".")
		return name
	}
	return ""
}

// shares tells by area what the processor time of a profile went into, as parts
// of 1; nothing of a profile that was not taken.
func shares(file string) (map[string]float64, error) {
	if file == "" {
		return nil, nil
	}
	in, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer in.Close()
	p, err := profile.Parse(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	out, total := map[string]float64{}, 0.0
	for _, s := range p.Sample {
		spent := float64(s.Value[len(s.Value)-1])
		out[areaOfStack(s)] += spent
		total += spent
	}
	for name := range out {
		out[name] /= total
	}
	return out, nil
}

func areaOfStack(s *profile.Sample) string {
	for _, at := range s.Location { // the innermost first
		for _, line := range at.Line {
			if line.Function == nil {
				continue
			}
			if name := areaOf(line.Function.Name); name != "" {
				return name
			}
		}
	}
	return "runtime"
}
