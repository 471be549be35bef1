package daemon

import (
	"fmt"
	"net"
	"testing"
)

// A port that was given out can be listened on, is never an outgoing
// connection's, and is not given to anybody else: another program finds the
// reservation as this one does.
func TestFreePort(t *testing.T) {
	given := map[int]bool{}
	for range 100 {
		port, err := FreePort()
		if err != nil {
			t.Fatal(err)
		}
		if given[port] {
			t.Fatalf("port %d was given out twice", port)
		}
		given[port] = true
		if port >= ephemeralStart() {
			t.Errorf("port %d may be taken by an outgoing connection", port)
		}
		address := fmt.Sprintf("127.0.0.1:%d", port)
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatalf("the port cannot be listened on: %v", err)
		}
		_ = l.Close()
		if c, err := net.ListenPacket("udp", address); err == nil {
			_ = c.Close()
			t.Errorf("port %d is not reserved", port)
		}
	}
}
