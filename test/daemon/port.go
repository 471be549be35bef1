package daemon

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
)

// reserved are the sockets that keep the ports which were given out.
var reserved struct {
	sync.Mutex
	sockets []net.PacketConn
}

// FreePort finds a TCP port of 127.0.0.1 to listen on, again and again, that is
// this program's until it ends. The system gives it to no outgoing connection, so
// it is still free when a member that was down comes back. No other program that
// asks here gets it: each keeps the UDP port of the same number, which nobody uses.
func FreePort() (int, error) {
	first := ephemeralStart()
	for range 1000 {
		port := first - 1 - rand.IntN(min(12_000, first/2))
		if last := port % 10_000; last == 2379 || last == 2380 {
			continue // the Procfile's ports, and etcd's
		}
		address := fmt.Sprintf("127.0.0.1:%d", port)
		reservation, err := net.ListenPacket("udp", address)
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			_ = reservation.Close()
			continue
		}
		reserved.Lock()
		reserved.sockets = append(reserved.sockets, reservation)
		reserved.Unlock()
		return port, l.Close()
	}
	return 0, errors.New("found no free port in 1000 tries")
}

// ephemeralStart is the first port that outgoing connections may take.
func ephemeralStart() int {
	const usual = 32768 // on Linux
	first := usual
	if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		if _, err := fmt.Sscan(string(b), &first); err != nil || first < 8192 {
			return usual
		}
	}
	return first
}
