package kvstore

import "encoding/binary"

// cursor takes fields off the front of an encoding. The first one that is not
// there makes it bad for good, and everything it returns from then on is zero:
// a decoder checks once, at the end.
type cursor struct {
	b   []byte
	bad bool
}

// done reports whether everything was there and nothing is left.
func (c *cursor) done() bool { return !c.bad && len(c.b) == 0 }

func (c *cursor) fail() {
	c.b, c.bad = nil, true
}

func (c *cursor) byte() byte {
	if len(c.b) == 0 {
		c.fail()
		return 0
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v
}

// uvarint takes only the shortest form of a number, so that no two encodings
// mean the same.
func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.b)
	if n <= 0 || n > 1 && c.b[n-1] == 0 {
		c.fail()
		return 0
	}
	c.b = c.b[n:]
	return v
}

// bytes takes a length and as many bytes, which alias the encoding.
func (c *cursor) bytes() []byte {
	n := c.uvarint()
	if n > uint64(len(c.b)) {
		c.fail()
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

func appendBytes[T string | []byte](dst []byte, b T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}
