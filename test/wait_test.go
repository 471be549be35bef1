package test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"
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

// ports hands out ports that nobody listens on, none of them twice. They lie
// below the range from which the system takes the local ports of outgoing
// connections: a member that is down for a second must find its port free when
// it comes back, and these tests open thousands of connections meanwhile.
var ports struct {
	mu   sync.Mutex
	used map[int]bool
}

func freePort(t testing.TB) int {
	t.Helper()
	ports.mu.Lock()
	defer ports.mu.Unlock()
	if ports.used == nil {
		ports.used = map[int]bool{}
	}
	first := ephemeralStart()
	for range 1000 {
		port := first - 1 - rand.IntN(min(12_000, first/2))
		if ports.used[port] {
			continue
		}
		if listenable(port) != nil {
			continue
		}
		ports.used[port] = true
		return port
	}
	t.Fatal("found no free port in 1000 tries")
	return 0
}

// listenable returns why a port of this machine cannot be listened on.
func listenable(port int) error {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	return l.Close()
}

// ephemeralStart is the first port that outgoing connections may take.
func ephemeralStart() int {
	first := 32768
	if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		fmt.Sscan(string(b), &first)
	}
	if first < 4096 {
		first = 32768
	}
	return first
}
