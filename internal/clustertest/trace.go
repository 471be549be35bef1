package clustertest

import (
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"
	"sync"
	"time"
)

// trace is a digest of all that happens in a run, in the order in which it
// happens: two runs with the same digest were the same. What was done to the
// cluster stands there in words too, for who looks into a failure.
type trace struct {
	mu    sync.Mutex
	begun time.Time
	sum   hash.Hash64
	n     int
	words []string
}

// What a trace is made of.
const (
	traceMessage = iota // from, to, type and index
	traceApply          // member, index, state
	traceAnswer         // client, status, revision
	traceDeed           // in words
)

func newTrace() *trace { return &trace{begun: time.Now(), sum: fnv.New64a()} }

// add takes note of something. A nil trace takes none.
func (t *trace) add(kind int, what ...uint64) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.addLocked(kind, what...)
}

func (t *trace) addLocked(kind int, what ...uint64) {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, 64), uint64(kind))
	b = binary.LittleEndian.AppendUint64(b, uint64(time.Since(t.begun)))
	for _, w := range what {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	t.sum.Write(b)
	t.n++
}

// deed takes note in words.
func (t *trace) deed(format string, args ...any) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := fmt.Sprintf("%9.3fs  ", time.Since(t.begun).Seconds()) + fmt.Sprintf(format, args...)
	t.words = append(t.words, s)
	t.sum.Write([]byte(s))
	t.addLocked(traceDeed)
}

// digest is over all so far; events says how many there were.
func (t *trace) digest() (digest uint64, events int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sum.Sum64(), t.n
}
