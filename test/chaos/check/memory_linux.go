package check

import "syscall"

// limitMemory makes the process end when it wants more memory than this. What a
// program reserves and never uses counts too, so a little is added.
func limitMemory(bytes uint64) error {
	limit := bytes + 512<<20
	return syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: limit, Max: limit})
}
