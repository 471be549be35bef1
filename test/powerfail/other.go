//go:build !linux

package main

import (
	"context"
	"errors"
	"io"
)

// The power is cut by an ioctl of Linux' file systems.
func requirements(config) []string { return []string{"Linux"} }

func isolated() bool { return true }

func isolate([]string, io.Writer, io.Writer) int { return exitNoCount }

func execute(context.Context, config, io.Writer) (*report, error) {
	return nil, errors.New("powerfail needs Linux")
}
