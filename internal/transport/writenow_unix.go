//go:build unix

package transport

import "syscall"

// writeNow writes to a socket that does not block, as all of Go's do not.
func writeNow(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Write(int(fd), p)
		if err != syscall.EINTR {
			return n, err
		}
	}
}
