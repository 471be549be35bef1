//go:build !linux

package test

import "syscall"

func childAttributes(a *syscall.SysProcAttr) *syscall.SysProcAttr { return a }
