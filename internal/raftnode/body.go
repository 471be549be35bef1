package raftnode

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"time"
)

// The body of a snapshot:
//
//	magic    8 bytes
//	header   length (4 bytes, big endian), then bodyHeader as JSON
//	state    what StateMachine.Snapshot wrote
//	trailer  length of all before (8 bytes), CRC-32C of it (4 bytes), big endian
//
// The trailer lets a body be written as a stream, and shows one that was cut
// or altered on a disk or on its way.
const (
	bodyMagic       = "kvdsnap\x01"
	bodyTrailer     = 12
	maxHeaderBytes  = 16 << 20
	bodyBufferBytes = 256 << 10
)

var (
	errBadBody = errors.New("snapshot body is damaged")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// bodyHeader is the node's own part of a snapshot.
type bodyHeader struct {
	Cluster    uint64        `json:"cluster"`
	Index      uint64        `json:"index"`
	Term       uint64        `json:"term"`
	Clock      time.Duration `json:"clock"` // the log's
	ConfState  []byte        `json:"conf_state"`
	Membership *membership   `json:"membership"`
}

// writeBody writes a whole body to w.
func writeBody(w io.Writer, h *bodyHeader, state io.WriterTo) error {
	head, err := json.Marshal(h)
	if err != nil {
		return err
	}
	buf := bufio.NewWriterSize(w, bodyBufferBytes)
	sum := &summer{w: buf}
	start := binary.BigEndian.AppendUint32([]byte(bodyMagic), uint32(len(head)))
	if _, err := sum.Write(append(start, head...)); err != nil {
		return err
	}
	if _, err := state.WriteTo(sum); err != nil {
		return err
	}
	if _, err := buf.Write(sum.trailer(nil)); err != nil {
		return err
	}
	return buf.Flush()
}

// summer counts and sums what passes through it.
type summer struct {
	w   io.Writer
	n   uint64
	crc uint32
}

func (s *summer) Write(p []byte) (int, error) {
	s.add(p)
	return s.w.Write(p)
}

func (s *summer) add(p []byte) {
	s.n += uint64(len(p))
	s.crc = crc32.Update(s.crc, castagnoli, p)
}

func (s *summer) trailer(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, s.n)
	return binary.BigEndian.AppendUint32(dst, s.crc)
}

// bodyReader reads a body up to its trailer. It ends with io.EOF only when the
// trailer is right, and otherwise with errBadBody or the source's own error.
type bodyReader struct {
	r   *bufio.Reader
	sum summer
	// trailing keeps the trailer in what Read returns, for a copy of the body.
	trailing bool
	rest     []byte
	done     bool
}

func newBodyReader(r io.Reader) *bodyReader {
	return &bodyReader{r: bufio.NewReaderSize(r, bodyBufferBytes)}
}

// newBodyCopier reads a body whole, trailer included, and checks it on the way.
func newBodyCopier(r io.Reader) *bodyReader {
	b := newBodyReader(r)
	b.trailing = true
	return b
}

func (b *bodyReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if b.done {
		if len(b.rest) > 0 {
			n := copy(p, b.rest)
			b.rest = b.rest[n:]
			return n, nil
		}
		return 0, io.EOF
	}
	// What is buffered beyond the trailer's length is surely state; only at
	// the end of the source must the reader know more.
	ahead, err := b.r.Peek(max(b.r.Buffered(), bodyTrailer+1))
	if len(ahead) > bodyTrailer {
		n := copy(p, ahead[:len(ahead)-bodyTrailer])
		b.sum.add(p[:n])
		_, err := b.r.Discard(n)
		return n, err
	}
	if !errors.Is(err, io.EOF) {
		return 0, err
	}
	if len(ahead) < bodyTrailer || string(ahead) != string(b.sum.trailer(nil)) {
		return 0, fmt.Errorf("%w: %d bytes and a trailer that does not fit", errBadBody, b.sum.n)
	}
	b.done = true
	if b.trailing {
		b.rest = append(b.rest, ahead...)
	}
	return b.Read(p)
}

// readBodyHeader reads the front of a body and leaves r at the state.
func readBodyHeader(r io.Reader) (*bodyHeader, error) {
	var start [len(bodyMagic) + 4]byte
	if _, err := io.ReadFull(r, start[:]); err != nil {
		return nil, fmt.Errorf("%w: %w", errBadBody, err)
	}
	if string(start[:len(bodyMagic)]) != bodyMagic {
		return nil, fmt.Errorf("%w: not a snapshot, or one of another version", errBadBody)
	}
	size := binary.BigEndian.Uint32(start[len(bodyMagic):])
	if size > maxHeaderBytes {
		return nil, fmt.Errorf("%w: header of %d bytes", errBadBody, size)
	}
	head := make([]byte, size)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, fmt.Errorf("%w: %w", errBadBody, err)
	}
	h := &bodyHeader{}
	if err := json.Unmarshal(head, h); err != nil || h.Membership == nil {
		return nil, fmt.Errorf("%w: header: %v", errBadBody, err)
	}
	return h, nil
}

// checkBodyFile reads a body through to its checksum.
func checkBodyFile(path string) (*bodyHeader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := newBodyReader(f)
	h, err := readBodyHeader(r)
	if err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return h, nil
}

// readHeaderFile reads the front of a body and believes it.
func readHeaderFile(path string) (*bodyHeader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readBodyHeader(f)
}

// SnapshotState reads the front of a snapshot's file, as OpenLatestSnapshot
// gives it, and returns the state behind it, up to the checksum.
func SnapshotState(file io.Reader) (io.Reader, error) {
	r := newBodyReader(file)
	_, err := readBodyHeader(r)
	return r, err
}
