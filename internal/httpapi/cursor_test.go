package httpapi

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func TestCursorGolden(t *testing.T) {
	s := &span{prefix: []byte("app/"), start: []byte("app/"), end: []byte("app0"), separator: []byte("/")}
	c := cursor{revision: 300, bound: []byte("app/k")}
	const want = "AQCsAmvNBTG7N9pNLQ"
	if got := c.encode(s); got != want {
		t.Errorf("got %q, want %q: cursors that clients hold would be refused", got, want)
	}
}

// FuzzCursor: a cursor is taken only in the one spelling that it was given in,
// and only by the span that it was given for.
func FuzzCursor(f *testing.F) {
	for _, c := range []cursor{{1, []byte("k")}, {1<<64 - 1, nil}, {300, []byte{0, 0xff}}} {
		f.Add(c.encode(&span{}), []byte(""), []byte("k"), uint64(7), false)
		f.Add(c.encode(&span{reverse: true}), []byte("pre"), []byte("/"), uint64(1), true)
	}
	// A number in more bytes than it needs, under a right checksum.
	long := []byte{cursorVersion, cursorForward, 0x81, 0x00}
	f.Add(cursorEncoding.EncodeToString(binary.BigEndian.AppendUint64(long, cursorSum(long, &span{}))), []byte("a"), []byte("b"), uint64(0), false)
	f.Add("", []byte{}, []byte{}, uint64(0), false)
	f.Add("AQ", []byte{}, []byte{}, uint64(0), false)
	f.Fuzz(func(t *testing.T, text string, prefix, rest []byte, revision uint64, reverse bool) {
		plain := &span{prefix: prefix, start: prefix, reverse: reverse}
		for _, s := range []*span{{}, {reverse: true}, plain} {
			if c, ok := decodeCursor(text, s); ok && (c.encode(s) != text || c.revision == 0 || !bytes.HasPrefix(c.bound, s.prefix)) {
				t.Fatalf("%q was taken as %+v", text, c)
			}
		}
		c := cursor{revision: revision, bound: append(bytes.Clone(prefix), rest...)}
		made := c.encode(plain)
		got, ok := decodeCursor(made, plain)
		if ok != (revision != 0) || ok && (got.revision != revision || !bytes.Equal(got.bound, c.bound)) {
			t.Fatalf("%+v became %+v, %v", c, got, ok)
		}
		for _, other := range []span{
			{prefix: append(bytes.Clone(prefix), 'x'), start: plain.start, reverse: reverse},
			{prefix: prefix, start: append(bytes.Clone(prefix), 'x'), reverse: reverse},
			{prefix: prefix, start: plain.start, end: []byte("x"), reverse: reverse},
			{prefix: prefix, start: plain.start, separator: []byte("x"), reverse: reverse},
			{prefix: prefix, start: plain.start, reverse: !reverse},
		} {
			if _, ok := decodeCursor(made, &other); ok {
				t.Fatalf("the cursor of %+v was taken by %+v", plain, other)
			}
		}
		if _, ok := decodeCursor(made[:len(made)-1], plain); ok {
			t.Fatalf("%q was taken without its end", made)
		}
	})
}
