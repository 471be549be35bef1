package check

import (
	"fmt"
	"os"
	"syscall"
)

// limitMemory makes the process end when it wants this much more memory than it
// has. The limit is one of addresses, and Go reserves a gigabyte or so of them at
// its start which it may never use: these do not count.
func limitMemory(bytes uint64) error {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return err
	}
	var pages uint64
	if _, err := fmt.Sscan(string(b), &pages); err != nil {
		return fmt.Errorf("/proc/self/statm: %w", err)
	}
	limit := bytes + pages*uint64(os.Getpagesize())
	return syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: limit, Max: limit})
}
