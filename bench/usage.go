package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// tick is the unit in which Linux tells how long a process has run.
const tick = 10 * time.Millisecond

// cpuTime is how long processes have run by now, in user and system mode.
func cpuTime(list []process) (time.Duration, error) {
	var total time.Duration
	for _, p := range list {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
		if err != nil {
			return 0, err
		}
		// The name, in brackets, may hold anything; utime and stime are the
		// 12th and 13th fields after it.
		fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
		for _, f := range fields[11:13] {
			n, err := strconv.ParseInt(string(f), 10, 64)
			if err != nil {
				return 0, err
			}
			total += time.Duration(n) * tick
		}
	}
	return total, nil
}

// ownCPUTime is the same of this process, which is the client.
func ownCPUTime() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// residentBytes is the memory of processes that is resident, now and at most, of
// all of them together.
func residentBytes(list []process) (now, most int64, err error) {
	for _, p := range list {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
		if err != nil {
			return 0, 0, err
		}
		for line := range bytes.Lines(b) {
			var to *int64
			switch {
			case bytes.HasPrefix(line, []byte("VmRSS:")):
				to = &now
			case bytes.HasPrefix(line, []byte("VmHWM:")):
				to = &most
			default:
				continue
			}
			n, err := strconv.ParseInt(string(bytes.Fields(line)[1]), 10, 64)
			if err != nil {
				return 0, 0, err
			}
			*to += n << 10
		}
	}
	return now, most, nil
}
