package kvstore

import (
	"bytes"
	"fmt"
	"time"
)

// How long and how many requests are remembered: here fewer than elsewhere, so that
// episodes come to where the oldest are forgotten.
const (
	modelRequestAge   = 10 * time.Minute
	modelRequests     = 2_000
	modelRequestBytes = 1 << 20
	modelRequestStep  = 1_000 // that an entry forgets for their age
)

// newModelMachine is a machine that remembers as many requests as the model does.
func newModelMachine() *Machine {
	m := NewMachine()
	m.requestMost, m.requestBytes = modelRequests, modelRequestBytes
	return m
}

// modelRequest is a write that had an idempotency key.
type modelRequest struct {
	key    string
	inner  []byte
	made   time.Duration // the log's clock then
	result Result
	kind   modelKind
	prev   bool // it asked for what was there before
	cost   uint64
}

// request returns what is known of an idempotency key, nil if nothing is.
func (m *model) request(key string) *modelRequest {
	n, ok := m.known[key]
	if !ok {
		return nil
	}
	return &m.requests[n-m.forgotten]
}

// once does the command unless its idempotency key is known.
func (m *model) once(c *modelCommand) Result {
	if known := m.request(c.request); known != nil {
		if !bytes.Equal(known.inner, c.inner) {
			return Result{Code: IdempotencyMismatch, Revision: m.revision}
		}
		r := known.result
		r.Replayed = true
		return r
	}
	r := m.do(c)
	if r.Code == BadCommand || r.Code == TooLarge {
		return r
	}
	cost := uint64(256 + len(c.request) + len(NewMachine().AppendResult(nil, r)))
	m.known[c.request] = m.forgotten + len(m.requests)
	m.requests = append(m.requests, modelRequest{
		key: c.request, inner: c.inner, made: m.clock, result: r, kind: c.kind, prev: c.wantPrev, cost: cost,
	})
	m.requestBytes += cost
	for len(m.requests) > modelRequests || m.requestBytes > modelRequestBytes {
		m.tally[fmt.Sprintf("forgotten/number=%v", len(m.requests) > modelRequests)]++
		m.forget()
	}
	return r
}

// forgetOld forgets some of what is older than it must be.
func (m *model) forgetOld() {
	for range modelRequestStep {
		if len(m.requests) == 0 || m.clock-m.requests[0].made < modelRequestAge {
			return
		}
		m.tally["forgotten/age"]++
		m.forget()
	}
}

// forget forgets the oldest.
func (m *model) forget() {
	m.requestBytes -= m.requests[0].cost
	delete(m.known, m.requests[0].key)
	m.requests = m.requests[1:]
	m.forgotten++
}
