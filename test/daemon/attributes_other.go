//go:build !linux

package daemon

import "syscall"

func childAttributes() *syscall.SysProcAttr { return nil }
