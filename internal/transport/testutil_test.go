package transport

import (
	"io"
	"log"
	"runtime"
	"testing"

	"google.golang.org/protobuf/proto"
)

// heapBytes is what is live now.
func heapBytes() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func mustMarshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// discard is where the raft library logs to.
var discard = log.New(io.Discard, "", 0)
