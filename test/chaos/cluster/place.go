package cluster

import (
	"fmt"
	"net"
	"strings"
)

// The ports of every member; the addresses differ.
const (
	ClientPort = "12380"
	PeerPort   = "12379"
)

// Place is where one member at a time can live.
type Place struct {
	Number    int    // from 1
	Addr      string // an IP address
	Namespace string // a network namespace of its own; "": none
	Disk      string // the mount point of a file system of its own; "": none
	Dir       string // where members make their data directories
}

// Client is the address that clients call.
func (p *Place) Client() string { return net.JoinHostPort(p.Addr, ClientPort) }

// Peer is the address that other members call.
func (p *Place) Peer() string { return net.JoinHostPort(p.Addr, PeerPort) }

// Inside returns a command line that runs within the network of the place.
func (p *Place) Inside(args ...string) []string {
	if p.Namespace == "" {
		return args
	}
	return append([]string{"ip", "netns", "exec", p.Namespace}, args...)
}

// Run runs a command within the network of the place.
func (p *Place) Run(args ...string) error {
	_, err := p.Output(args...)
	return err
}

// Output is what a command printed that ran within the network of the place.
func (p *Place) Output(args ...string) (string, error) {
	args = p.Inside(args...)
	return Output(args[0], args[1:]...)
}

// hardware is the Ethernet address of a place's end of its cable.
func (p *Place) hardware() string { return fmt.Sprintf("02:00:00:00:00:%02x", p.Number) }

func (p *Place) String() string {
	return fmt.Sprintf("place %d (%s)", p.Number, strings.TrimSpace(p.Addr))
}
