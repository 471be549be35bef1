package kvstore

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// told renders all that a machine holds.
func told(m *Machine, after uint64) string {
	var b strings.Builder
	version := func(what string, v Version) {
		fmt.Fprintf(&b, "%s %s %s=%s at %d, created %d, version %d, lease %d, ends %v\n",
			what, v.Type, v.Key, v.Value, v.ModRevision, v.CreateRevision, v.Version, v.Lease, v.Deadline)
	}
	for v := range m.Base() {
		version("base", v)
	}
	for v := range m.Changes(after) {
		version("change", v)
	}
	for l := range m.Granted() {
		fmt.Fprintf(&b, "lease of %v ends %v\n", l.TTL, l.Deadline)
	}
	for x := range m.Remembered() {
		fmt.Fprintf(&b, "request %s at %v: %v at %d\n", x.Key, x.Clock, x.Result.Code, x.Result.Revision)
	}
	return b.String()
}

func TestContents(t *testing.T) {
	m := NewMachine()
	index := uint64(0)
	apply := func(cmds ...[]byte) {
		t.Helper()
		index++
		if _, err := m.Apply(index, time.Duration(index)*time.Second, cmds); err != nil {
			t.Fatal(err)
		}
	}
	put := func(key, value string, o PutOptions) []byte {
		return encodeWrite(commandPut, []byte(key), []byte(value), o)
	}
	apply(put("a", "1", PutOptions{}), put("b", "1", PutOptions{}), put("a", "2", PutOptions{}))
	apply(encodeCommand(commandDelete, false, Condition{}, []byte("b"), "", nil), encodeCompact(3))
	apply(encodeRequest("key", put("c", "3", PutOptions{TTL: time.Minute})))
	apply(encodeLease(commandGrant, uint64(2*time.Second)))
	apply(put("a", "4", PutOptions{}))
	apply(encodeLease(commandGrant, uint64(time.Hour)))
	want := `base put a=2 at 3, created 1, version 2, lease 0, ends 0s
base put b=1 at 2, created 2, version 1, lease 0, ends 0s
change delete b= at 4, created 0, version 0, lease 0, ends 0s
change put c=3 at 5, created 5, version 1, lease 0, ends 1m3s
change put a=4 at 6, created 1, version 3, lease 0, ends 0s
lease of 2s ends 6s
lease of 1h0m0s ends 1h0m6s
request key at 3s: created at 5
`
	sorted := func(s string) string {
		lines := strings.SplitAfter(s, "\n")
		slices.Sort(lines) // leases have random ids
		return strings.Join(lines, "")
	}
	if got := told(m, 0); sorted(got) != sorted(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := told(m, 5); !strings.Contains(got, "change put a=4") || strings.Contains(got, "change put c") {
		t.Errorf("after revision 5:\n%s", got)
	}
	// A snapshot of it tells the same.
	view, err := m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := view.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	again := NewMachine()
	if err := again.Restore(&b); err != nil {
		t.Fatal(err)
	}
	if got := told(again, 0); got != told(m, 0) {
		t.Errorf("restored\n%s\nwant\n%s", got, told(m, 0))
	}
	for range again.Base() {
		break // a loop may end early
	}
}

func TestDescribe(t *testing.T) {
	for _, tt := range []struct {
		cmd  []byte
		want string // empty: it is no command
	}{
		{encodeWrite(commandPut, []byte("k"), []byte("v"), PutOptions{ContentType: "text/plain", TTL: time.Minute, Condition: Condition{Kind: IfRevision, Revision: 7}, WantPrev: true}),
			`put "k" "" "v" text/plain {3 7} true 1m0s 0000000000000000 0`},
		{encodeWrite(commandPut, []byte("k"), nil, PutOptions{Lease: 5}), `put "k" "" "" {0 0} false 0s 0000000000000005 0`},
		{encodeCommand(commandDelete, false, Condition{}, []byte("k"), "", nil), `delete "k" "" "" {0 0} false 0s 0000000000000000 0`},
		{encodeDeleteRange([]byte("a"), []byte("b")), `delete_range "a" "b" "" {0 0} false 0s 0000000000000000 0`},
		{encodeCompact(9), `compact "" "" "" {0 0} false 0s 0000000000000000 9`},
		{encodeLease(commandGrant, uint64(time.Hour)), `grant "" "" "" {0 0} false 1h0m0s 0000000000000000 0`},
		{encodeLease(commandKeepAlive, 6), `keepalive "" "" "" {0 0} false 0s 0000000000000006 0`},
		{encodeLease(commandRevoke, 6), `revoke "" "" "" {0 0} false 0s 0000000000000006 0`},
		{encodeExpire(), `expire "" "" "" {0 0} false 0s 0000000000000000 0`},
		{encodeTxn(&Txn{}), `txn "" "" "" {0 0} false 0s 0000000000000000 0 txn`},
		{encodeRequest("i", encodeCompact(9)), `compact "" "" "" {0 0} false 0s 0000000000000000 9 key i`},
		{[]byte("nonsense"), ""},
		{nil, ""},
	} {
		c, ok := Describe(tt.cmd)
		got := ""
		if ok {
			got = strings.Join(strings.Fields(fmt.Sprintf("%s %q %q %q %s %v %t %v %v %d",
				c.Kind, c.Key, c.End, c.Value, c.ContentType, c.Condition, c.WantPrev, c.TTL, c.Lease, c.Revision)), " ")
			if c.Txn != nil {
				got += " txn"
			}
			if c.IdempotencyKey != nil {
				got += " key " + string(c.IdempotencyKey)
			}
		}
		if got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
	a, _ := Describe(encodeRequest("i", encodeCompact(9)))
	b, _ := Describe(encodeRequest("j", encodeCompact(9)))
	c, _ := Describe(encodeRequest("i", encodeCompact(8)))
	if a.Fingerprint != b.Fingerprint || a.Fingerprint == c.Fingerprint || a.Fingerprint == "" {
		t.Errorf("fingerprints %q, %q, %q", a.Fingerprint, b.Fingerprint, c.Fingerprint)
	}
}
