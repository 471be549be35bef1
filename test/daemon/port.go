package daemon

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
)

var ports struct {
	mu   sync.Mutex
	used map[int]bool
}

// FreePort finds a port for a member to listen on, again and again: one that the
// system gives to no outgoing connection.
func FreePort() (int, error) {
	ports.mu.Lock()
	defer ports.mu.Unlock()
	if ports.used == nil {
		ports.used = map[int]bool{}
	}
	first := 32768 // where Linux begins to give out ports, unless it says otherwise
	if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		if _, err := fmt.Sscan(string(b), &first); err != nil || first < 8192 {
			first = 32768
		}
	}
	for range 1000 {
		port := first - 1 - rand.IntN(min(12_000, first/2))
		if ports.used[port] {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		ports.used[port] = true
		return port, l.Close()
	}
	return 0, errors.New("found no free port in 1000 tries")
}
