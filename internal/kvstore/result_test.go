package kvstore

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestResultGolden(t *testing.T) {
	testResultGolden(t, "results-v1.golden", []Result{
		{Code: Created, Revision: 1, ModRevision: 1},
		{Code: Replaced, Revision: 300, ModRevision: 300, Prev: &Item{[]byte("k"), []byte("\xff\xfe\x00A"), "text/plain", 1, 200, 3}},
		{Code: Deleted, Revision: 1<<64 - 1, Prev: &Item{[]byte("k"), nil, "", 1, 1, 1}},
		{Code: NotFound, Revision: 7},
		{Code: ConditionFailed, Revision: 7, ModRevision: 6},
		{Code: BadCommand},
	})
	testResultGolden(t, "results-v2.golden", []Result{
		{Code: Deleted, Revision: 300, Deleted: 200},
		{Code: Compacted, Revision: 300},
		{Code: FutureRevision, Revision: 7},
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
		{"version 3", "\x03\x01\x01\x01\x00", ErrNewerVersion},
		{"version 2 for what version 1 has", "\x02\x01\x01\x01\x00\x00", ErrBadResult},
		{"code 0", "\x01\x00\x01\x01\x00", ErrBadResult},
		{"code 7 in version 1", "\x01\x07\x01\x01\x00", ErrBadResult},
		{"code 9", "\x02\x09\x01\x01\x00\x00", ErrBadResult},
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
