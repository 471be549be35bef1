package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestGCPercent(t *testing.T) {
	for _, tt := range []struct {
		live uint64
		want int
	}{{0, 400}, {1 << 20, 400}, {16 << 20, 400}, {32 << 20, 200}, {64 << 20, 100}, {1 << 30, 60}} {
		if got := gcPercent(tt.live); got != tt.want {
			t.Errorf("%d bytes: %d, want %d", tt.live, got, tt.want)
		}
	}
}

// TestPaceGC holds a large heap and waits for a collection to be followed by
// the percentage that belongs to it.
func TestPaceGC(t *testing.T) {
	t.Setenv("GOGC", "")
	was := debug.SetGCPercent(100)
	defer debug.SetGCPercent(was)
	held := make([]byte, 256<<20)
	paceGC()
	for deadline := time.Now().Add(10 * time.Second); ; {
		runtime.GC()
		runtime.Gosched()
		now := debug.SetGCPercent(-1)
		debug.SetGCPercent(now)
		if now == minGCPercent {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("percentage is %d, want %d", now, minGCPercent)
		}
	}
	runtime.KeepAlive(held)
}
