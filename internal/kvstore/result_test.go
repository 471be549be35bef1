package kvstore

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestResultGolden(t *testing.T) {
	testResultGolden(t, "results-v1.golden", []Result{
		{Code: Created, Revision: 1, ModRevision: 1},
		{Code: Replaced, Revision: 300, ModRevision: 300, Prev: &Item{[]byte("k"), []byte("\xff\xfe\x00A"), "text/plain", 1, 200, 3, 0, 0}},
		{Code: Deleted, Revision: 1<<64 - 1, Prev: &Item{[]byte("k"), nil, "", 1, 1, 1, 0, 0}},
		{Code: NotFound, Revision: 7},
		{Code: ConditionFailed, Revision: 7, ModRevision: 6},
		{Code: BadCommand},
	})
	testResultGolden(t, "results-v2.golden", []Result{
		{Code: Deleted, Revision: 300, Deleted: 200},
		{Code: Compacted, Revision: 300},
		{Code: FutureRevision, Revision: 7},
	})
	item := func(key string, lease LeaseID, ttl time.Duration) *Item {
		return &Item{[]byte(key), []byte("v"), "text/plain", 1, 200, 3, lease, ttl}
	}
	testResultGolden(t, "results-v3.golden", []Result{
		{Code: Created, Replayed: true, Revision: 1, ModRevision: 1},
		{Code: Replaced, Revision: 300, ModRevision: 300, Prev: item("k", 7, 0)},
		{Code: Deleted, Replayed: true, Revision: 300, Prev: item("k", 0, MinTTL)},
		{Code: Compacted, Replayed: true, Revision: 300},
		{Code: TxnApplied, Revision: 300, Txn: &TxnResult{}},
		{Code: TxnApplied, Revision: 300, Replayed: true, Txn: &TxnResult{Succeeded: true, Ops: []OpResult{
			{Kind: OpPut, Code: Created, ModRevision: 300},
			{Kind: OpPut, Code: Replaced, ModRevision: 300, Prev: item("k", 0, 0)},
			{Kind: OpGet, Code: Found, Item: item("k", 7, 0)},
			{Kind: OpGet, Code: NotFound},
			{Kind: OpDelete, Code: Deleted, Count: 1, Prev: item("k", 0, MaxTTL)},
			{Kind: OpDeleteRange, Code: Deleted, Count: 200},
			{Kind: OpRange, Items: []Item{*item("a", 0, 0), *item("b", 1<<64-1, 0)}, Count: 300, More: true},
			{Kind: OpRange},
		}}},
		{Code: LeaseGranted, Revision: 7, Lease: 1<<64 - 1, TTL: MaxTTL},
		{Code: LeaseRevoked, Revision: 7, Deleted: 2},
		{Code: LeaseKept, Revision: 7, Lease: 7, TTL: MinTTL},
		{Code: LeaseNotFound, Revision: 7},
		{Code: Expired, Revision: 7, Deleted: 4096},
		{Code: IdempotencyMismatch, Revision: 7},
		{Code: TooLarge, Revision: 7},
	})
}

func testResultGolden(t *testing.T, name string, results []Result) {
	t.Helper()
	m := NewMachine()
	var b strings.Builder
	for _, r := range results {
		enc := m.AppendResult([]byte("before"), r)
		enc = enc[len("before"):]
		fmt.Fprintf(&b, "%s: %s\n", r.Code, hex.EncodeToString(enc))
		got, err := m.DecodeResult(enc)
		if err != nil || !sameResult(got, r) {
			t.Errorf("%s: decoded to %+v, %v", r.Code, got, err)
		}
		for n := range len(enc) {
			if _, err := m.DecodeResult(enc[:n]); !errors.Is(err, ErrBadResult) {
				t.Errorf("%s: its first %d of %d bytes: %v", r.Code, n, len(enc), err)
			}
		}
		for i := range enc {
			enc[i] = 0 // what was decoded keeps nothing of it
		}
		if !sameResult(got, r) {
			t.Errorf("%s: changed with the buffer", r.Code)
		}
	}
	golden(t, name, []byte(b.String()))
}

func TestDecodeResultRefuses(t *testing.T) {
	for _, c := range []struct {
		name, b string
		want    error
	}{
		{"nothing", "", ErrBadResult},
		{"version 0", "\x00\x01\x01\x01\x00", ErrBadResult},
		{"version 4", "\x04\x01\x01\x01\x00", ErrNewerVersion},
		{"version 2 for what version 1 has", "\x02\x01\x01\x01\x00\x00", ErrBadResult},
		{"code 0", "\x01\x00\x01\x01\x00", ErrBadResult},
		{"code 7 in version 1", "\x01\x07\x01\x01\x00", ErrBadResult},
		{"code 9 in version 2", "\x02\x09\x01\x01\x00\x00", ErrBadResult},
		{"code 18", "\x03\x12\x01\x01\x00\x00\x00\x00", ErrBadResult},
		{"version 3 for what version 1 has", "\x03\x01\x01\x01\x00\x00\x00\x00", ErrBadResult},
		{"version 3 for what version 2 has", "\x03\x07\x01\x00\x00\x00\x00\x00", ErrBadResult},
		{"unknown flag", "\x03\x0b\x01\x01\x00\x00\x00\x08", ErrBadResult},
		{"replayed in version 1", "\x01\x01\x01\x01\x04", ErrBadResult},
		{"transaction that half succeeded", "\x03\x09\x01\x00\x00\x00\x00\x02\x02\x00", ErrBadResult},
		{"transaction of 129 operations", "\x03\x09\x01\x00\x00\x00\x00\x02\x01\x81\x01" + strings.Repeat("\x02\x04\x00\x00\x00\x00", 129), ErrBadResult},
		{"operation of no kind", "\x03\x09\x01\x00\x00\x00\x00\x02\x01\x01\x00\x04\x00\x00\x00\x00", ErrBadResult},
		{"operation with an unknown flag", "\x03\x09\x01\x00\x00\x00\x00\x02\x01\x01\x02\x04\x00\x00\x08\x00", ErrBadResult},
		{"range of 2^63 items", "\x03\x09\x01\x00\x00\x00\x00\x02\x01\x01\x05\x00\x00\x00\x00\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", ErrBadResult},
		{"previous item 2", "\x01\x01\x01\x01\x02", ErrBadResult},
		{"more behind it", "\x01\x01\x01\x01\x00\x00", ErrBadResult},
	} {
		if r, err := NewMachine().DecodeResult([]byte(c.b)); !errors.Is(err, c.want) {
			t.Errorf("%s: got %+v, %v, want %v", c.name, r, err, c.want)
		}
	}
}

func TestCodeNames(t *testing.T) {
	seen := map[string]bool{}
	for c := range lastCode + 2 {
		if name := c.String(); name == "" || seen[name] {
			t.Errorf("code %d is called %q", c, name)
		} else {
			seen[name] = true
		}
	}
}
