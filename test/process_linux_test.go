package test

import "syscall"

// childAttributes makes the kernel end a child with the test, should the test
// itself be killed or panic at its time limit.
func childAttributes(a *syscall.SysProcAttr) *syscall.SysProcAttr {
	if a == nil {
		a = &syscall.SysProcAttr{}
	}
	a.Pdeathsig = syscall.SIGKILL
	return a
}
