package raftnode

import (
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"slices"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite golden files")

func encodeEntry(h entryHeader, cmds ...string) []byte {
	var props []*proposal[int]
	for _, c := range cmds {
		props = append(props, &proposal[int]{cmd: []byte(c)})
	}
	return appendCommands(h.append(nil), props)
}

var goldenHeader = entryHeader{kind: kindCommands, id: entryID{Member: 3, Boot: 0x1122334455667788, Counter: 9}, clock: 90 * time.Second}

// TestEntryGolden: entries of older versions are in logs for ever.
func TestEntryGolden(t *testing.T) {
	const path = "testdata/entry.golden"
	got := encodeEntry(goldenHeader, "first", "", "third")
	if *update {
		must(t, os.MkdirAll("testdata", 0o755), os.WriteFile(path, []byte(hex.EncodeToString(got)+"\n"), 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if hex.EncodeToString(got)+"\n" != string(want) {
		t.Errorf("entry is encoded as\n%x, want\n%s", got, want)
	}
	h, payload, err := decodeEntry(got)
	if err != nil || h != goldenHeader {
		t.Fatalf("header %+v, error %v", h, err)
	}
	cmds, err := decodeCommands(nil, payload)
	if err != nil || !slices.EqualFunc(cmds, []string{"first", "", "third"}, func(b []byte, s string) bool { return string(b) == s }) {
		t.Errorf("commands %q, error %v", cmds, err)
	}
}

func TestEntryOfNewerVersion(t *testing.T) {
	b := encodeEntry(goldenHeader, "x")
	b[0] = entryVersion + 1
	if _, _, err := decodeEntry(b); !errors.Is(err, ErrNewerVersion) {
		t.Errorf("error %v, want ErrNewerVersion", err)
	}
}

// FuzzEntry: no bytes make decoding panic, take memory they do not pay for, or
// come back different.
func FuzzEntry(f *testing.F) {
	f.Add(encodeEntry(goldenHeader, "first", "", "third"))
	f.Add([]byte{})
	f.Add(append(goldenHeader.append(nil), 0xff, 0xff, 0xff, 0xff, 0x0f))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, payload, err := decodeEntry(b)
		if err != nil {
			return
		}
		cmds, err := decodeCommands(nil, payload)
		if err != nil {
			return
		}
		var again []string
		for _, c := range cmds {
			again = append(again, string(c))
		}
		h2, payload2, err := decodeEntry(encodeEntry(h, again...))
		cmds2, err2 := decodeCommands(nil, payload2)
		if err != nil || err2 != nil || h2 != h || !slices.EqualFunc(cmds, cmds2, slices.Equal[[]byte]) {
			t.Errorf("not the same again: %v %v", err, err2)
		}
	})
}
