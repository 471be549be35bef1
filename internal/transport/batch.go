package transport

import (
	"encoding/binary"
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// The body of a frame of messages is a sequence of (uvarint length, message).

// maxBatchMessages is the most messages in one frame.
const maxBatchMessages = 8192

// maxMessageOverhead is what a frame needs beside its only message.
const maxMessageOverhead = frameHeaderBytes + binary.MaxVarintLen64

// outgoing is a message on its way, with its size on the wire.
type outgoing struct {
	m    *pb.Message
	size int
}

// encodeBatch writes as many of the messages as fit into a frame of about
// target bytes over buf, and returns the sealed frame and how many it took: at least one.
func encodeBatch(buf []byte, batch []outgoing, target int) ([]byte, int, error) {
	frame := beginFrame(buf)
	n := 0
	for n < len(batch) && n < maxBatchMessages {
		o := batch[n]
		if n > 0 && len(frame)+o.size+binary.MaxVarintLen64 > target {
			break
		}
		frame = binary.AppendUvarint(frame, uint64(o.size))
		// The size was computed when the message was queued, and nobody
		// writes to it since, so that it need not be computed again.
		start := len(frame)
		var err error
		frame, err = proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(frame, o.m)
		if err != nil {
			return nil, 0, fmt.Errorf("encode %s: %w", o.m.GetType(), err)
		}
		if len(frame)-start != o.size {
			return nil, 0, fmt.Errorf("encode %s: %d bytes, expected %d", o.m.GetType(), len(frame)-start, o.size)
		}
		n++
	}
	sealFrame(frame)
	return frame, n, nil
}

// maxEntries is the most entries accepted in one frame of max bytes. An entry
// of one byte on the wire takes a hundred in memory; real ones are longer.
// A frame of frameTarget bytes always has less.
func maxEntries(maxFrame int) int { return max(1<<18, maxFrame/64) }

// decodeBatch decodes and checks all messages of a body, none of which it
// keeps alive. An error is a *violation, and then no message is returned.
func decodeBatch(body []byte, entries int, check func(*pb.Message) error) ([]*pb.Message, error) {
	count, err := countMessages(body, entries)
	if err != nil {
		return nil, err
	}
	msgs := make([]*pb.Message, count)
	block := make([]pb.Message, count)
	for i := range msgs {
		size, n := binary.Uvarint(body)
		m := &block[i]
		if err := unmarshal.Unmarshal(body[n:n+int(size)], m); err != nil {
			return nil, violationf("message %d of %d: %v", i+1, count, err)
		}
		if err := check(m); err != nil {
			return nil, err
		}
		msgs[i] = m
		body = body[n+int(size):]
	}
	return msgs, nil
}

// unmarshal allows the nesting that messages have (message, snapshot,
// metadata, conf state) and little more.
var unmarshal = proto.UnmarshalOptions{RecursionLimit: 8}

// countMessages walks a body without taking memory: the lengths must fit, and
// there must not be more messages or entries than allowed.
func countMessages(body []byte, entries int) (int, error) {
	count := 0
	for len(body) > 0 {
		size, n := binary.Uvarint(body)
		if n <= 0 || size > uint64(len(body)-n) {
			return 0, violationf("message of %d bytes in a frame with %d left", size, len(body))
		}
		if count++; count > maxBatchMessages {
			return 0, violationf("more than %d messages in a frame", maxBatchMessages)
		}
		if entries -= countEntries(body[n : n+int(size)]); entries < 0 {
			return 0, violationf("too many entries in a frame")
		}
		body = body[n+int(size):]
	}
	return count, nil
}

// entriesField is the number of raftpb.Message.entries.
const entriesField = 7

// countEntries counts the entries of an encoded message. What is malformed
// counts for nothing: decoding will say so.
func countEntries(m []byte) int {
	count := 0
	for len(m) > 0 {
		num, typ, n := protowire.ConsumeTag(m)
		if n < 0 {
			return count
		}
		m = m[n:]
		if n = protowire.ConsumeFieldValue(num, typ, m); n < 0 {
			return count
		}
		if num == entriesField {
			count++
		}
		m = m[n:]
	}
	return count
}
