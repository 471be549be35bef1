//go:build !unix

package client

import "net"

// ownConnections: without a look at idle connections there would have to be a
// goroutine for each, as net/http has it.
const ownConnections = false

type probe struct{}

func (probe) init(net.Conn) {}

func (probe) quiet() bool { return false }
