package main

import (
	"errors"
	"testing"
)

func TestFreeBytes(t *testing.T) {
	free, err := freeBytes(t.TempDir())
	if err == nil && free == 0 {
		t.Error("no free bytes at all where the test runs")
	}
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
}
