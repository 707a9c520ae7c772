// Package threads looks at the threads of processes, by /proc.
package threads

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Proc is where the kernel tells of processes.
const Proc = "/proc"

// Each calls f with each thread of a process below proc (Proc, but in tests). A
// thread that ends meanwhile is passed over; other errors of f end it. Threads
// that are started later inherit what f made of those that start them.
func Each(proc string, pid int, f func(tid int) error) error {
	tasks, err := os.ReadDir(folder(proc, pid))
	if err != nil {
		return fmt.Errorf("threads of process %d: %w", pid, err)
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			continue // not a thread
		}
		if err := f(tid); err != nil && !errors.Is(err, syscall.ESRCH) && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Time is how long a thread has run, and has waited to run.
type Time struct{ Ran, Waited time.Duration }

// Times tells of each thread of a process (schedstat of proc(5)). Zero where the
// kernel does not count.
func Times(proc string, pid int) (map[int]Time, error) {
	all := map[int]Time{}
	err := Each(proc, pid, func(tid int) error {
		text, err := os.ReadFile(filepath.Join(folder(proc, pid), strconv.Itoa(tid), "schedstat"))
		if err != nil {
			return err
		}
		var t Time
		words := strings.Fields(string(text))
		for i, d := range []*time.Duration{&t.Ran, &t.Waited}[:min(2, len(words))] {
			n, err := strconv.ParseInt(words[i], 10, 64)
			if err != nil {
				return fmt.Errorf("times of thread %d: %w", tid, err)
			}
			*d = time.Duration(n)
		}
		all[tid] = t
		return nil
	})
	return all, err
}

// Ran is how long the threads of a process have run in all.
func Ran(proc string, pid int) (sum time.Duration, err error) {
	all, err := Times(proc, pid)
	for _, t := range all {
		sum += t.Ran
	}
	return sum, err
}

func folder(proc string, pid int) string { return filepath.Join(proc, strconv.Itoa(pid), "task") }
