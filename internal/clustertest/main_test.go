package clustertest

import (
	"runtime"
	"testing"

	"go.uber.org/goleak"
)

// TestMain keeps virtual time to one processor. The race detector has one
// context for all timers of a synctest bubble, and two processors that both read
// a timer which is due write to it at once (Go 1.26: runtime.timer.unlockAndRun,
// by way of maybeRunChan): the detector then reads wild memory and the process
// ends by SIGSEGV, now and then.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(1)
	goleak.VerifyTestMain(m)
}
