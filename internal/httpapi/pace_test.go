package httpapi

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	var p pace
	now := time.Duration(0)
	// writes spreads n writes over two windows, and returns what the last is told:
	// what comes in the second of them.
	writes := func(n int) (pause time.Duration) {
		for range 2 * n {
			now += paceWindow / time.Duration(n)
			pause = p.wrote(now)
		}
		return pause
	}
	for i, step := range []struct {
		writes int
		want   time.Duration
	}{
		{1, 0}, {paceWrites / 2, 0}, {paceWrites / 2, 0},
		{3 * paceWrites, pacePause}, {3 * paceWrites, pacePause},
		{paceWrites / 2, 0}, {2 * paceWrites, pacePause},
	} {
		if got := writes(step.writes); got != step.want {
			t.Errorf("step %d, %d writes: got %v, want %v", i, step.writes, got, step.want)
		}
	}
	// After a long time in which nobody wrote, the first is not told to wait.
	now += time.Hour
	if got := p.wrote(now); got != 0 {
		t.Errorf("after an hour: got %v", got)
	}
	if n := testing.AllocsPerRun(100, func() { p.wrote(now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
