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

// Times is how long the threads of a process have run, and have waited to run, in
// all (schedstat of proc(5)). Zero where the kernel does not count.
func Times(proc string, pid int) (ran, waited time.Duration, err error) {
	err = Each(proc, pid, func(tid int) error {
		text, err := os.ReadFile(filepath.Join(folder(proc, pid), strconv.Itoa(tid), "schedstat"))
		if err != nil {
			return err
		}
		words := strings.Fields(string(text))
		for i, sum := range []*time.Duration{&ran, &waited}[:min(2, len(words))] {
			n, err := strconv.ParseInt(words[i], 10, 64)
			if err != nil {
				return fmt.Errorf("times of thread %d: %w", tid, err)
			}
			*sum += time.Duration(n)
		}
		return nil
	})
	return ran, waited, err
}

func folder(proc string, pid int) string { return filepath.Join(proc, strconv.Itoa(pid), "task") }
