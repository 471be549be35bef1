package transport

import (
	"encoding/binary"
	"time"
)

// The body of a frame on a forward connection is a sequence of calls. From the
// caller:
//
//	uvarint id | uvarint timeout in microseconds, 0 = none | uvarint length | request
//
// and back to it, in any order:
//
//	uvarint id | status byte | uvarint length | reply, or the text of the error
type callStatus byte

const (
	statusOK      callStatus = iota
	statusFailed             // the handler returned an error
	statusRefused            // no handler saw the request
)

// maxCallOverhead bounds what a frame needs beside the payload of its only call.
const maxCallOverhead = frameHeaderBytes + 3*binary.MaxVarintLen64

// request is one call on its way in.
type request struct {
	id      uint64
	timeout time.Duration
	payload []byte // part of the frame
}

// reply is one call on its way back.
type reply struct {
	id      uint64
	status  callStatus
	payload []byte
}

func appendRequest(dst []byte, r request) []byte {
	dst = binary.AppendUvarint(dst, r.id)
	dst = binary.AppendUvarint(dst, uint64(r.timeout.Microseconds()))
	return appendPayload(dst, r.payload)
}

func appendReply(dst []byte, r reply) []byte {
	dst = binary.AppendUvarint(dst, r.id)
	dst = append(dst, byte(r.status))
	return appendPayload(dst, r.payload)
}

func appendPayload(dst, payload []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(payload)))
	return append(dst, payload...)
}

// takeRequest takes the first request off a body. An error is a *violation.
func takeRequest(body []byte) (r request, rest []byte, err error) {
	micros := uint64(0)
	if r.id, body, err = takeUvarint(body); err != nil {
		return r, nil, err
	}
	if micros, body, err = takeUvarint(body); err != nil {
		return r, nil, err
	}
	// More than a day is cut down by the handler's own limit anyway.
	r.timeout = time.Duration(min(micros, uint64((24*time.Hour).Microseconds()))) * time.Microsecond
	r.payload, body, err = takePayload(body)
	return r, body, err
}

// takeReply takes the first reply off a body. An error is a *violation.
func takeReply(body []byte) (r reply, rest []byte, err error) {
	if r.id, body, err = takeUvarint(body); err != nil {
		return r, nil, err
	}
	if len(body) == 0 {
		return r, nil, violationf("reply without a status")
	}
	r.status = callStatus(body[0])
	if r.status > statusRefused {
		return r, nil, violationf("reply with status %d", r.status)
	}
	r.payload, body, err = takePayload(body[1:])
	return r, body, err
}

func takeUvarint(body []byte) (uint64, []byte, error) {
	v, n := binary.Uvarint(body)
	if n <= 0 {
		return 0, nil, violationf("call with a broken number")
	}
	return v, body[n:], nil
}

func takePayload(body []byte) (payload, rest []byte, err error) {
	n, body, err := takeUvarint(body)
	if err != nil {
		return nil, nil, err
	}
	if n > uint64(len(body)) {
		return nil, nil, violationf("call of %d bytes in a frame with %d left", n, len(body))
	}
	return body[:n], body[n:], nil
}
