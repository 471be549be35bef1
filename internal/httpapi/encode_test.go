package httpapi

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
	"unicode/utf8"

	"kvd/internal/kvstore"
)

// FuzzAppendItem: by hand or by encoding/json, an item looks the same.
func FuzzAppendItem(f *testing.F) {
	f.Add([]byte("key"), []byte("value"), "text/plain", uint64(1))
	f.Add([]byte("\xff"), []byte(""), "", uint64(1<<64-1))
	f.Add([]byte("\x00\b\f\n\r\t\x1f\x7f\"\\/<>&"), []byte("\u2028\u2029\u2027\u202a\ue000é€😀"), "a/b; c=\"d\"", uint64(0))
	f.Add([]byte("\xe2\x80"), []byte("\xe2"), "\xe2\x80", uint64(0))
	f.Fuzz(func(t *testing.T, key, value []byte, contentType string, n uint64) {
		item := kvstore.Item{Key: key, Value: value, ContentType: contentType, ModRevision: n, CreateRevision: n / 2, Version: n / 3}
		item.Lease, item.TTL = kvstore.LeaseID(n/5), time.Duration(n/7)
		for _, keysOnly := range []bool{false, true} {
			got := appendItem([]byte("before"), &item, keysOnly)
			j := newItemJSON(&item)
			if keysOnly {
				j.Value, j.ValueBase64 = nil, nil
			}
			var want bytes.Buffer
			enc := json.NewEncoder(&want)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(j); err != nil {
				t.Fatal(err)
			}
			if !json.Valid(got[len("before"):]) {
				t.Fatalf("not JSON: %q", got)
			}
			if utf8.ValidString(contentType) && string(got)+"\n" != "before"+want.String() {
				t.Fatalf("got  %q\nwant %q", got, want.String())
			}
		}
	})
}
