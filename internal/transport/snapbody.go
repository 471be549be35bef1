package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
)

// The body of POST /raft/v1/snapshot:
//
//	frame with the MsgSnap, which has metadata only | uint64 size |
//	size bytes | uint64 size again | uint32 CRC-32C of the bytes
//
// The answer to GET /raft/v1/snapshot/{index} is the same without the frame.
//
// The trailer stands at the end because the sender streams: it may find out
// only then that its file was cut short, and then never writes it.
const (
	snapshotSizeBytes    = 8
	snapshotTrailerBytes = 12
	// maxSnapshotHead bounds the frame with the message.
	maxSnapshotHead = 1 << 20
)

// bodyReader yields size bytes of r and then io.EOF, if the trailer says what
// it must, and otherwise an error that wraps ErrSnapshotBody.
type bodyReader struct {
	r    io.Reader
	size int64
	left int64
	sum  hash.Hash32
	err  error // what all further reads return; io.EOF if the body is right
}

func newBodyReader(r io.Reader, size int64) *bodyReader {
	return &bodyReader{r: r, size: size, left: size, sum: crc32.New(castagnoli)}
}

func (b *bodyReader) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.left == 0 {
		b.err = b.finish()
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.sum.Write(p[:n])
	b.left -= int64(n)
	if err != nil && b.left > 0 {
		b.err = damaged("cut with %d of %d bytes missing: %w", b.left, b.size, noEOF(err))
		return n, b.err
	}
	return n, nil
}

// whole says that everything was read and was right.
func (b *bodyReader) whole() bool { return b.err == io.EOF }

// finish reads the trailer, and that nothing follows it.
func (b *bodyReader) finish() error {
	var trailer [snapshotTrailerBytes + 1]byte
	n, err := io.ReadFull(b.r, trailer[:])
	switch {
	case err == nil:
		return damaged("more bytes than announced")
	case n < snapshotTrailerBytes:
		return damaged("cut in the trailer: %w", noEOF(err))
	case !errors.Is(err, io.ErrUnexpectedEOF):
		return damaged("after the trailer: %w", err)
	}
	if size := binary.BigEndian.Uint64(trailer[:]); size != uint64(b.size) {
		return damaged("%d bytes in the trailer, %d announced", size, b.size)
	}
	if want, got := binary.BigEndian.Uint32(trailer[8:]), b.sum.Sum32(); got != want {
		return damaged("checksum %08x, want %08x", got, want)
	}
	return io.EOF
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrSnapshotBody, fmt.Errorf(format, args...))
}

// noEOF keeps an io.EOF from being taken for the end of the body.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// bodySource yields head, size bytes of body, and the trailer over them. It
// fails if body has less or more.
type bodySource struct {
	head    []byte // then the trailer
	body    io.Reader
	size    int64
	left    int64
	sum     hash.Hash32
	trailed bool
}

func newBodySource(head []byte, body io.Reader, size int64) *bodySource {
	head = binary.BigEndian.AppendUint64(head, uint64(size))
	return &bodySource{head: head, body: body, size: size, left: size, sum: crc32.New(castagnoli)}
}

// length is that of everything.
func (s *bodySource) length() int64 { return int64(len(s.head)) + s.size + snapshotTrailerBytes }

func (s *bodySource) Read(p []byte) (int, error) {
	if len(s.head) == 0 && s.left == 0 && !s.trailed {
		switch n, err := io.ReadFull(s.body, make([]byte, 1)); {
		case n > 0:
			return 0, fmt.Errorf("snapshot has more than the %d bytes it should have", s.size)
		case !errors.Is(err, io.EOF):
			return 0, fmt.Errorf("end of snapshot: %w", err)
		}
		s.trailed = true
		s.head = binary.BigEndian.AppendUint64(nil, uint64(s.size))
		s.head = binary.BigEndian.AppendUint32(s.head, s.sum.Sum32())
	}
	switch {
	case len(s.head) > 0:
		n := copy(p, s.head)
		s.head = s.head[n:]
		return n, nil
	case s.left > 0:
		n, err := s.body.Read(p[:min(int64(len(p)), s.left)])
		s.sum.Write(p[:n])
		s.left -= int64(n)
		if err != nil && s.left > 0 {
			return n, fmt.Errorf("snapshot ends %d bytes early: %w", s.left, noEOF(err))
		}
		return n, nil
	}
	return 0, io.EOF
}
