package daemon

import "syscall"

// childAttributes makes the kernel end a member with this program, should it be
// killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
