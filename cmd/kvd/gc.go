package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// Bounds of the garbage collector's percentage, and the garbage that a small
// heap may gather before it is collected.
const (
	minGCPercent = 60
	maxGCPercent = 400
	gcHeadroom   = 64 << 20 // bytes
)

// paceGC sets the collector's percentage anew after each collection: a small
// heap, which turns over many times a second under load, is collected less
// often than by Go's default, and a large one more often, so that a member
// stays well below twice the memory of its state. GOGC, where it is set, wins.
func paceGC() {
	if os.Getenv("GOGC") != "" {
		return
	}
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	var afterNext func()
	afterNext = func() {
		// A cleanup runs once the collection that found its object dead is over.
		sentinel := new([64]byte)
		runtime.AddCleanup(sentinel, func(struct{}) {
			metrics.Read(sample)
			debug.SetGCPercent(gcPercent(sample[0].Value.Uint64()))
			afterNext()
		}, struct{}{})
	}
	debug.SetGCPercent(maxGCPercent)
	afterNext()
}

// gcPercent is the percentage for a heap of live bytes.
func gcPercent(live uint64) int {
	return int(min(max(gcHeadroom*100/max(live, 1), minGCPercent), maxGCPercent))
}
