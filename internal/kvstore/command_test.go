package kvstore

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// golden compares got with a file in testdata. A difference means that old logs
// and snapshots would be read otherwise than they were written: raise the format's
// version, keep the old file and its test, and add a new one.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs:\ngot\n%s\nwant\n%s", path, got, want)
	}
}

var commandCases = []struct {
	name        string
	cmd         command
	contentType string
}{
	{name: "put", cmd: command{kind: commandPut, key: []byte("k"), value: []byte("v")}},
	{name: "put empty value", cmd: command{kind: commandPut, key: []byte("k")}},
	{name: "put bytes", cmd: command{kind: commandPut, key: []byte("\x00/\xff"), value: []byte("\xff\xfe\x00A")}},
	{name: "put typed", cmd: command{kind: commandPut, key: []byte("k"), value: []byte("{}")}, contentType: "application/json"},
	{name: "put long", cmd: command{kind: commandPut, key: bytes.Repeat([]byte("k"), 200), value: bytes.Repeat([]byte("v"), 300)}},
	{name: "put if absent", cmd: command{kind: commandPut, condition: Condition{Kind: IfAbsent}, key: []byte("k"), value: []byte("v")}},
	{name: "put if present, prev", cmd: command{kind: commandPut, wantPrev: true, condition: Condition{Kind: IfPresent}, key: []byte("k"), value: []byte("v")}},
	{name: "put at revision", cmd: command{kind: commandPut, condition: Condition{Kind: IfRevision, Revision: 300}, key: []byte("k"), value: []byte("v")}},
	{name: "delete", cmd: command{kind: commandDelete, key: []byte("k")}},
	{name: "delete at revision, prev", cmd: command{kind: commandDelete, wantPrev: true, condition: Condition{Kind: IfRevision, Revision: 1<<64 - 1}, key: []byte("k")}},
}

func TestCommandGolden(t *testing.T) {
	var b strings.Builder
	for _, c := range commandCases {
		enc := encodeCommand(c.cmd.kind, c.cmd.wantPrev, c.cmd.condition, c.cmd.key, c.contentType, c.cmd.value)
		fmt.Fprintf(&b, "%s: %s\n", c.name, hex.EncodeToString(enc))
		got, ok := decodeCommand(enc)
		if !ok || got.kind != c.cmd.kind || got.wantPrev != c.cmd.wantPrev || got.condition != c.cmd.condition ||
			!bytes.Equal(got.key, c.cmd.key) || string(got.contentType) != c.contentType || !bytes.Equal(got.value, c.cmd.value) {
			t.Errorf("%s: decoded to %+v, %v", c.name, got, ok)
		}
		for n := range len(enc) {
			if _, ok := decodeCommand(enc[:n]); ok {
				t.Errorf("%s: its first %d of %d bytes are a command too", c.name, n, len(enc))
			}
		}
		if _, ok := decodeCommand(append(enc, 0)); ok {
			t.Errorf("%s: is a command with a byte more", c.name)
		}
	}
	golden(t, "commands-v1.golden", []byte(b.String()))
}

var rangeCases = []struct {
	name string
	enc  []byte
	want command
}{
	{"range", encodeDeleteRange([]byte("a"), []byte("b\xff")), command{kind: commandDeleteRange, key: []byte("a"), end: []byte("b\xff")}},
	{"range without an end", encodeDeleteRange([]byte("a"), nil), command{kind: commandDeleteRange, key: []byte("a")}},
	{"range of nothing", encodeDeleteRange(nil, []byte{}), command{kind: commandDeleteRange, end: []byte{}}},
	{"range of everything", encodeDeleteRange(nil, nil), command{kind: commandDeleteRange}},
	{"compaction", encodeCompact(300), command{kind: commandCompact, revision: 300}},
	{"compaction of everything", encodeCompact(1<<64 - 1), command{kind: commandCompact, revision: 1<<64 - 1}},
}

func TestRangeCommandGolden(t *testing.T) {
	var b strings.Builder
	for _, c := range rangeCases {
		fmt.Fprintf(&b, "%s: %s\n", c.name, hex.EncodeToString(c.enc))
		got, ok := decodeCommand(c.enc)
		if !ok || got.kind != c.want.kind || got.revision != c.want.revision || !bytes.Equal(got.key, c.want.key) ||
			!bytes.Equal(got.end, c.want.end) || (got.end == nil) != (c.want.end == nil) {
			t.Errorf("%s: decoded to %+v, %v", c.name, got, ok)
		}
		for n := range len(c.enc) {
			if _, ok := decodeCommand(c.enc[:n]); ok {
				t.Errorf("%s: its first %d of %d bytes are a command too", c.name, n, len(c.enc))
			}
		}
		if _, ok := decodeCommand(append(bytes.Clone(c.enc), 0)); ok {
			t.Errorf("%s: is a command with a byte more", c.name)
		}
	}
	golden(t, "commands-v2.golden", []byte(b.String()))
}

func TestDecodeCommandRefuses(t *testing.T) {
	for _, c := range []struct{ name, b string }{
		{"nothing", ""},
		{"version 0", "\x00\x02\x00\x00\x01k"},
		{"version 3", "\x03\x02\x00\x00\x01k"},
		{"delete in version 2", "\x02\x02\x00\x00\x01k"},
		{"range in version 1", "\x01\x03\x00\x01k"},
		{"compaction in version 1", "\x01\x04\x05"},
		{"kind 0", "\x01\x00\x00\x00\x01k"},
		{"kind 5", "\x02\x05\x00\x00\x01k"},
		{"unknown flag of a range", "\x02\x03\x02\x01k"},
		{"end of a range without its flag", "\x02\x03\x00\x01k\x01l"},
		{"start of a range too long", string(encodeDeleteRange(make([]byte, MaxKeyBytes+1), nil))},
		{"end of a range too long", string(encodeDeleteRange(nil, make([]byte, MaxKeyBytes+1)))},
		{"unknown flag", "\x01\x02\x02\x00\x01k"},
		{"unknown condition", "\x01\x02\x00\x04\x01k"},
		{"empty key", "\x01\x02\x00\x00\x00"},
		{"key of 2^63 bytes", "\x01\x02\x00\x00\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01k"},
		{"length over 64 bits", "\x01\x02\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7fk"},
		{"length longer than it must be", "\x01\x02\x00\x00\x81\x00k"},
	} {
		if cmd, ok := decodeCommand([]byte(c.b)); ok {
			t.Errorf("%s: decoded to %+v", c.name, cmd)
		}
	}
	if cmd, ok := decodeCommand([]byte("\x01\x02\x00\x00\x01k")); !ok {
		t.Errorf("the good one was refused: %+v", cmd)
	}
}
