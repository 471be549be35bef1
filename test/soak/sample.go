package main

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"kvd/test/daemon"
)

// Quantities, in the order of sample.values.
var quantities = []quantity{
	{name: "resident memory", unit: "MiB", scale: 1 << 20, share: 0.15, least: 24 << 20},
	{name: "goroutines", unit: "", scale: 1, share: 0.1, least: 10},
	{name: "file descriptors", unit: "", scale: 1, share: 0.1, least: 6},
	{name: "data directory", unit: "MiB", scale: 1 << 20, share: 0.15, least: 72 << 20}, // a segment of the log, at least
}

// quantity is something that must not grow.
type quantity struct {
	name, unit string
	scale      float64 // of a unit
	share      float64 // by which it may seem to grow, of its median
	least      float64 // or this, if that is more
}

// sample is one member at one moment.
type sample struct {
	at         time.Duration
	operations int64
	values     [4]float64
}

// take asks a member for its metrics, and the system for what it does not tell.
func take(ctx context.Context, m *daemon.Member) (sample, error) {
	var s sample
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.ClientURL+"/metrics", nil)
	if err != nil {
		return s, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return s, err
	}
	defer res.Body.Close()
	metrics := map[string]float64{}
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if name, text, found := strings.Cut(lines.Text(), " "); found {
			if v, err := strconv.ParseFloat(text, 64); err == nil {
				metrics[name] = v
			}
		}
	}
	for i, name := range []string{"process_resident_memory_bytes", "go_goroutines", "process_open_fds"} {
		v, ok := metrics[name]
		if !ok {
			return s, fmt.Errorf("/metrics of %s has no %s", m.Name(), name)
		}
		s.values[i] = v
	}
	// Where the system tells descriptors, it is believed rather than the process.
	if fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", m.PID())); err == nil {
		s.values[2] = float64(len(fds))
	}
	s.values[3] = float64(bytesBelow(m.Dir))
	return s, nil
}

// bytesBelow adds up the files of a directory. Those that go meanwhile are left out.
func bytesBelow(dir string) (sum int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	return sum
}
