package httpapi

import (
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"
)

// cursor is where a listing goes on. To clients it is an opaque string: base64
// of version, direction, revision, the rest of a key after the span's prefix,
// and a checksum over these and the span. The span itself is not in it, so that
// a cursor and the prefix it belongs to fit into one request line.
type cursor struct {
	revision uint64 // the moment that the listing shows
	bound    []byte // see span.after
}

const (
	cursorVersion     = 1
	cursorForward     = 0
	cursorReverse     = 1
	cursorSumBytes    = 8
	cursorHeaderBytes = 2
)

var cursorEncoding = base64.RawURLEncoding.Strict()

// encode returns the cursor as a string that only s takes back.
func (c *cursor) encode(s *span) string {
	b := make([]byte, 0, cursorHeaderBytes+binary.MaxVarintLen64+len(c.bound)+cursorSumBytes)
	b = append(b, cursorVersion, cursorForward)
	if s.reverse {
		b[1] = cursorReverse
	}
	b = binary.AppendUvarint(b, c.revision)
	b = append(b, c.bound[len(s.prefix):]...)
	return cursorEncoding.EncodeToString(binary.BigEndian.AppendUint64(b, cursorSum(b, s)))
}

// decodeCursor is encode's inverse for the same span. It takes one spelling of
// each cursor and nothing else: what it has read must give the text again.
func decodeCursor(text string, s *span) (cursor, bool) {
	b, err := cursorEncoding.DecodeString(text)
	if err != nil || len(b) < cursorHeaderBytes+cursorSumBytes {
		return cursor{}, false
	}
	b = b[cursorHeaderBytes : len(b)-cursorSumBytes]
	revision, n := binary.Uvarint(b)
	if n <= 0 || revision == 0 {
		return cursor{}, false
	}
	c := cursor{revision: revision, bound: append(append([]byte{}, s.prefix...), b[n:]...)}
	return c, c.encode(s) == text
}

// cursorSum is no protection against forgers, who get nothing but another
// range that they may read as well: it is one against mistakes.
func cursorSum(payload []byte, s *span) uint64 {
	h := fnv.New64a()
	var length []byte
	for _, part := range [][]byte{payload, s.prefix, s.start, s.end, s.separator} {
		length = binary.AppendUvarint(length[:0], uint64(len(part)))
		h.Write(length)
		h.Write(part)
	}
	return h.Sum64()
}
