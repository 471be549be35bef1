package test

import (
	"fmt"
	"net"
	"testing"
	"time"

	"kvd/test/daemon"
)

// pollInterval is the pause between two looks at a condition.
const pollInterval = 20 * time.Millisecond

// waitFor polls until cond returns nil, and fails the test with its last error
// when that takes longer than limit.
func waitFor(t testing.TB, limit time.Duration, what string, cond func() error) {
	t.Helper()
	if err := poll(limit, cond); err != nil {
		t.Fatalf("%s: not within %v: %v", what, limit, err)
	}
}

// poll is waitFor for goroutines other than the test's own.
func poll(limit time.Duration, cond func() error) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for end := time.Now().Add(limit); ; <-tick.C {
		err := cond()
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return err
		}
	}
}

// pause waits for d or until done is closed, and reports whether d passed.
func pause(done <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return false
	case <-timer.C:
		return true
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	port, err := daemon.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// listenable returns why a port of this machine cannot be listened on.
func listenable(port int) error {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	return l.Close()
}
