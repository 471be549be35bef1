//go:build !linux

package main

import "errors"

// freeBytes has no answer on this system.
func freeBytes(string) (uint64, error) { return 0, errors.ErrUnsupported }
