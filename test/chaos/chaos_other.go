//go:build !linux

package main

import (
	"context"
	"errors"
	"io"

	"kvd/test/chaos/report"
)

func chaos(context.Context, []string, io.Writer, io.Writer) (report.Verdict, error) {
	return report.DidNotCount, errors.New("NOT RUN: chaos needs Linux")
}
