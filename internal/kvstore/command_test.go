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

	"github.com/cespare/xxhash/v2"
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

var mortalCases = []struct {
	name string
	enc  []byte
	want command
}{
	{"put with a TTL", encodeWrite(commandPut, []byte("k"), []byte("v"), PutOptions{TTL: MinTTL, ContentType: "text/plain"}),
		command{kind: commandPut, key: []byte("k"), value: []byte("v"), contentType: []byte("text/plain"), ttl: MinTTL}},
	{"put with a lease at a revision, prev", encodeWrite(commandPut, []byte("k"), nil, PutOptions{Lease: 300, WantPrev: true, Condition: Condition{IfRevision, 7}}),
		command{kind: commandPut, key: []byte("k"), wantPrev: true, condition: Condition{IfRevision, 7}, lease: 300}},
	{"grant", encodeLease(commandGrant, uint64(MaxTTL)), command{kind: commandGrant, ttl: MaxTTL}},
	{"keepalive", encodeLease(commandKeepAlive, 1<<64-1), command{kind: commandKeepAlive, lease: 1<<64 - 1}},
	{"revocation", encodeLease(commandRevoke, 1), command{kind: commandRevoke, lease: 1}},
	{"revocation of no lease", encodeLease(commandRevoke, 0), command{kind: commandRevoke}},
	{"expiry", encodeExpire(), command{kind: commandExpire}},
}

func TestMortalCommandGolden(t *testing.T) {
	var b strings.Builder
	for _, c := range mortalCases {
		for _, key := range []string{"", "0198c1b2"} {
			enc, name := c.enc, c.name
			if key != "" {
				if c.want.kind == commandExpire {
					continue
				}
				enc, name = encodeRequest(key, enc), name+" with an idempotency key"
			}
			fmt.Fprintf(&b, "%s: %s\n", name, hex.EncodeToString(enc))
			got, ok := decodeCommand(enc)
			if ok && key != "" {
				if got.kind != commandRequest || string(got.key) != key || got.size != len(c.enc) || got.sum != xxhash.Sum64(c.enc) {
					t.Errorf("%s: decoded to %+v", name, got)
				}
				got = *got.inner
			}
			if !ok || got.kind != c.want.kind || got.wantPrev != c.want.wantPrev || got.condition != c.want.condition ||
				!bytes.Equal(got.key, c.want.key) || !bytes.Equal(got.value, c.want.value) || !bytes.Equal(got.contentType, c.want.contentType) ||
				got.ttl != c.want.ttl || got.lease != c.want.lease {
				t.Errorf("%s: decoded to %+v, %v", name, got, ok)
			}
			onlyWhole(t, name, enc)
		}
	}
	golden(t, "commands-v3.golden", []byte(b.String()))
}

var txnCases = []struct {
	name string
	txn  Txn
}{
	{"of nothing", Txn{}},
	{"comparisons", Txn{If: []Comparison{
		{Key: []byte("a"), Target: CompareModRevision, Op: Equal, Number: 300},
		{Key: []byte("a"), Target: CompareCreateRevision, Op: NotEqual, Number: 1},
		{Key: []byte("a"), Target: CompareVersion, Op: Greater},
		{Key: []byte("a"), Target: CompareValue, Op: Less, Value: []byte("\xff")},
		{Key: []byte("a"), Target: CompareValue, Op: Equal},
		{Key: []byte("b"), Target: CompareLease, Op: GreaterOrEqual, Number: 1<<64 - 1},
		{Key: []byte("b"), Target: CompareExists, Op: Equal, Number: 1},
		{Key: []byte("b"), Target: CompareVersion, Op: LessOrEqual, Number: 9},
	}}},
	{"operations", Txn{
		Then: []Op{
			{Kind: OpPut, Key: []byte("a")},
			{Kind: OpPut, Key: []byte("b"), Value: []byte("v"), ContentType: "text/plain", TTL: MinTTL, WantPrev: true},
			{Kind: OpPut, Key: []byte("c"), Lease: 7},
			{Kind: OpGet, Key: []byte("a")},
			{Kind: OpDelete, Key: []byte("d"), WantPrev: true},
		},
		Else: []Op{
			{Kind: OpDeleteRange, Key: []byte("a"), End: []byte("b")},
			{Kind: OpDeleteRange, Key: []byte("c")},
			{Kind: OpRange},
			{Kind: OpRange, Key: []byte("a"), End: []byte{}, Limit: 10_000, Reverse: true, KeysOnly: true},
			{Kind: OpRange, Limit: 1, CountOnly: true},
		},
	}},
}

func TestTxnCommandGolden(t *testing.T) {
	var b strings.Builder
	for _, c := range txnCases {
		enc := encodeTxn(&c.txn)
		fmt.Fprintf(&b, "%s: %s\n", c.name, hex.EncodeToString(enc))
		got, ok := decodeCommand(enc)
		if !ok || !bytes.Equal(encodeTxn(got.txn), enc) || fmt.Sprint(*got.txn) != fmt.Sprint(c.txn) {
			t.Errorf("%s: decoded to %+v, %v", c.name, got.txn, ok)
		}
		onlyWhole(t, c.name, enc)
	}
	golden(t, "txns-v3.golden", []byte(b.String()))
}

// onlyWhole fails if a part of enc, or more than it, is a command too.
func onlyWhole(t *testing.T, name string, enc []byte) {
	t.Helper()
	for n := range len(enc) {
		if _, ok := decodeCommand(enc[:n]); ok {
			t.Errorf("%s: its first %d of %d bytes are a command too", name, n, len(enc))
		}
	}
	if _, ok := decodeCommand(append(bytes.Clone(enc), 0)); ok {
		t.Errorf("%s: is a command with a byte more", name)
	}
}

func TestDecodeCommandRefuses(t *testing.T) {
	for _, c := range []struct{ name, b string }{
		{"nothing", ""},
		{"version 0", "\x00\x02\x00\x00\x01k"},
		{"version 4", "\x04\x02\x00\x00\x01k"},
		{"delete in version 3", "\x03\x02\x00\x00\x01k"},
		{"put that lasts in version 3", "\x03\x01\x00\x00\x01k\x00\x00"},
		{"put with a TTL in version 1", "\x01\x01\x02\x00\x80\x94\xeb\xdc\x03\x01k\x00\x00"},
		{"delete with a TTL", "\x03\x02\x02\x00\x80\x94\xeb\xdc\x03\x01k"},
		{"put with no lease", "\x03\x01\x04\x00\x00\x01k\x00\x00"},
		{"put with a TTL and a lease", "\x03\x01\x06\x00\x80\x94\xeb\xdc\x03\x01\x01k\x00\x00"},
		{"put with too short a TTL", string(encodeWrite(commandPut, []byte("k"), nil, PutOptions{TTL: MinTTL - 1}))},
		{"put with too long a TTL", string(encodeWrite(commandPut, []byte("k"), nil, PutOptions{TTL: MaxTTL + 1}))},
		{"put with a TTL below 0", string(encodeWrite(commandPut, []byte("k"), nil, PutOptions{TTL: -MinTTL}))},
		{"grant of no time", string(encodeLease(commandGrant, 0))},
		{"grant of all time", string(encodeLease(commandGrant, 1<<63-1))},
		{"grant in version 2", "\x02\x06\x80\x94\xeb\xdc\x03"},
		{"expiry with something behind it", "\x03\x09\x00"},
		{"request without a key", string(encodeRequest("", put("k", "v")))},
		{"request with a long key", string(encodeRequest(string(make([]byte, MaxIdempotencyKeyBytes+1)), put("k", "v")))},
		{"request of nothing", "\x03\x05\x01k"},
		{"request of no command", string(encodeRequest("k", []byte("\x01\x01")))},
		{"request in a request", string(encodeRequest("k", encodeRequest("l", put("k", "v"))))},
		{"request of an expiry", string(encodeRequest("k", encodeExpire()))},
		{"request of a command to come", "\x03\x05\x01k\x04\x02\x00\x00\x01k"},
		{"request in version 1", "\x01\x05\x01k" + string(put("k", "v"))},
		{"transaction of 129 comparisons", "\x03\x0a\x81\x01" + strings.Repeat("\x01k\x01\x01\x00", 129) + "\x00\x00"},
		{"transaction of 129 in all", "\x03\x0a\x00\x80\x01" + strings.Repeat("\x02\x00\x01k", 128) + "\x01\x02\x00\x01k"},
		{"transaction of 2^63 operations", "\x03\x0a\x00\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"},
		{"transaction with an operation of kind 0", "\x03\x0a\x00\x01\x00\x00\x01k\x00"},
		{"transaction with an operation of another kind", "\x03\x0a\x00\x01\x06\x00\x01k\x00"},
		{"transaction with a get that has a TTL", "\x03\x0a\x00\x01\x02\x02\x01k\x80\x94\xeb\xdc\x03\x00"},
		{"transaction with an unknown flag", "\x03\x0a\x00\x01\x02\x80\x01k\x00"},
		{"transaction with an unknown target", "\x03\x0a\x01\x01k\x07\x01\x00\x00\x00"},
		{"transaction that writes a key twice", "\x03\x0a\x00\x02" + strings.Repeat("\x03\x00\x01k", 2) + "\x00"},
		{"delete in version 2", "\x02\x02\x00\x00\x01k"},
		{"range in version 1", "\x01\x03\x00\x01k"},
		{"compaction in version 1", "\x01\x04\x05"},
		{"kind 0", "\x01\x00\x00\x00\x01k"},
		{"kind 11", "\x03\x0b\x00\x00\x01k"},
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
