package raftnode

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestBodyRoundTrip(t *testing.T) {
	for _, state := range []string{"", "x", "eleven bytes", strings.Repeat("0123456789", 100_000)} {
		b := body(t, 4, 99, state)
		for name, src := range map[string]io.Reader{
			"whole":      bytes.NewReader(b),
			"one byte":   iotest.OneByteReader(bytes.NewReader(b)),
			"eof early":  iotest.DataErrReader(bytes.NewReader(b)),
			"in a dozen": iotest.HalfReader(bytes.NewReader(b)),
		} {
			r := newBodyReader(src)
			h, err := readBodyHeader(r)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got, err := io.ReadAll(r)
			if err != nil || string(got) != state || h.Index != 99 || h.Term != 4 {
				t.Errorf("%s: %d bytes, header %+v, error %v; want %d bytes", name, len(got), h, err, len(state))
			}
		}
		if got, err := io.ReadAll(newBodyCopier(bytes.NewReader(b))); err != nil || !bytes.Equal(got, b) {
			t.Errorf("copy of %d bytes: %d bytes, error %v", len(b), len(got), err)
		}
	}
}

// TestBodyDamage: a body that is cut anywhere, or has any bit flipped, never
// ends in io.EOF.
func TestBodyDamage(t *testing.T) {
	whole := body(t, 4, 99, "some state")
	check := func(b []byte, what string, at int) {
		t.Helper()
		for _, r := range []io.Reader{newBodyReader(bytes.NewReader(b)), newBodyCopier(bytes.NewReader(b))} {
			if _, err := io.ReadAll(r); err == nil {
				t.Errorf("%s at %d is not noticed", what, at)
			}
		}
	}
	for i := range whole {
		check(whole[:i], "cut", i)
		b := bytes.Clone(whole)
		b[i] ^= 0x10
		check(b, "flip", i)
	}
	check(append(bytes.Clone(whole), 0), "longer", len(whole))
}
