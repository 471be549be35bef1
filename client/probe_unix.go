//go:build unix

package client

import (
	"net"
	"syscall"
)

// ownConnections: without a look at idle connections there would have to be a
// goroutine for each, as net/http has it.
const ownConnections = true

// probe looks at an idle connection without waiting.
type probe struct {
	raw  syscall.RawConn // nil: it cannot be looked at
	read func(fd uintptr) bool
	err  error // of read
	one  [1]byte
}

func (p *probe) init(n net.Conn) {
	s, ok := n.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return
	}
	p.raw = raw
	p.read = func(fd uintptr) bool {
		_, p.err = syscall.Read(int(fd), p.one[:])
		return true // whatever came, there is no waiting
	}
}

// quiet tells whether there is nothing to read: no byte, no end, no error.
func (p *probe) quiet() bool {
	if p.raw == nil {
		return false
	}
	if err := p.raw.Read(p.read); err != nil {
		return false
	}
	return p.err == syscall.EAGAIN || p.err == syscall.EWOULDBLOCK
}
