package transport

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
)

// A frame on the wire, all numbers big endian:
//
//	uint32 length of body | uint32 CRC-32C of body | body
//
// An empty body is a keepalive. What a body holds depends on the connection:
// messages (batch.go), calls (callcodec.go), or, on the way back to the sender
// of messages, the reason why its connection is being closed.
const (
	frameHeaderBytes = 8
	// frameTarget is where a sender closes one frame and begins the next.
	frameTarget = 1 << 20
	// keepBytes is how large a reused buffer may stay after a large frame.
	keepBytes = 4 << 20
	// growBytes is how much a reader takes on the word of a length field
	// alone; beyond that, memory grows with the bytes that have come.
	growBytes = 1 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// violation is what a peer that keeps to the protocol never sends. It ends the
// connection.
type violation struct{ reason string }

func (v *violation) Error() string { return v.reason }

func violationf(format string, args ...any) error {
	return &violation{fmt.Sprintf(format, args...)}
}

// beginFrame starts a frame in buf, whose contents are no longer needed.
func beginFrame(buf []byte) []byte {
	if cap(buf) > keepBytes {
		buf = nil
	}
	var header [frameHeaderBytes]byte
	return append(buf[:0], header[:]...)
}

// sealFrame fills in the header of a frame whose body is complete.
func sealFrame(frame []byte) {
	body := frame[frameHeaderBytes:]
	binary.BigEndian.PutUint32(frame, uint32(len(body)))
	binary.BigEndian.PutUint32(frame[4:], crc32.Checksum(body, castagnoli))
}

// emptyFrame is a keepalive.
var emptyFrame = make([]byte, frameHeaderBytes)

// frameReader reads frames. Small ones are used where they lie in the bufio
// buffer, large ones are copied into a buffer that is reused.
type frameReader struct {
	br  *bufio.Reader
	max int // the longest body allowed

	buf  []byte
	used int // bytes of br behind the body that was last returned
}

// next returns the body of the next frame, valid until the call after. The
// error is io.EOF only between two frames, and a *violation if the frame is
// not as it must be.
func (r *frameReader) next() ([]byte, error) {
	if err := r.release(); err != nil {
		return nil, err
	}
	header, err := r.br.Peek(frameHeaderBytes)
	if err != nil {
		if len(header) > 0 && errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	n := uint64(binary.BigEndian.Uint32(header))
	sum := binary.BigEndian.Uint32(header[4:])
	if n > uint64(r.max) {
		return nil, violationf("frame of %d bytes, limit %d", n, r.max)
	}
	body, err := r.body(int(n))
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if got := crc32.Checksum(body, castagnoli); got != sum {
		return nil, violationf("frame checksum %08x, want %08x", got, sum)
	}
	return body, nil
}

// release gives back the frame that next returned, so that br stands behind it.
func (r *frameReader) release() error {
	n := r.used
	r.used = 0
	if cap(r.buf) > keepBytes {
		r.buf = nil
	}
	if n == 0 {
		return nil
	}
	_, err := r.br.Discard(n)
	return err
}

func (r *frameReader) body(n int) ([]byte, error) {
	if whole := frameHeaderBytes + n; whole <= r.br.Size() {
		frame, err := r.br.Peek(whole)
		if err != nil {
			return nil, err
		}
		r.used = whole
		return frame[frameHeaderBytes:], nil
	}
	if _, err := r.br.Discard(frameHeaderBytes); err != nil {
		return nil, err
	}
	buf := r.buf[:0]
	for len(buf) < n {
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, min(n-len(buf), max(len(buf), growBytes)))
		}
		part := buf[len(buf):min(cap(buf), n)]
		if _, err := io.ReadFull(r.br, part); err != nil {
			return nil, err
		}
		buf = buf[:len(buf)+len(part)]
	}
	r.buf = buf
	return buf, nil
}
