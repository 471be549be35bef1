package replica

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"kvd/internal/httpapi"
	"kvd/internal/raftnode"
)

// nobody is a network without anybody else on it.
type nobody struct{}

var errNobody = errors.New("nobody is there")

func (nobody) SetPeers(map[uint64]string) {}
func (nobody) Send([]*raftpb.Message)     {}
func (nobody) Forward(context.Context, uint64, []byte) ([]byte, bool, error) {
	return nil, false, errNobody
}
func (nobody) FetchSnapshot(context.Context, uint64, uint64) (io.ReadCloser, error) {
	return nil, errNobody
}

// lonely serves a member that has no quorum, with room for some waiting requests of
// each kind, and returns its address.
func lonely(t *testing.T, room int) string {
	t.Helper()
	disk, err := raftnode.OpenDisk(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	rep, err := New(Config{
		Node: raftnode.Config{
			Identity: raftnode.Identity{Cluster: 7, Member: 1, Name: "n1"}, PeerURL: "http://127.0.0.1:1",
			Founders:   []raftnode.Founder{{ID: 1, PeerURL: "http://127.0.0.1:1"}, {ID: 2, PeerURL: "http://127.0.0.1:2"}},
			MaxWaiting: room, MaxWaitingReads: room,
		},
		Storage:   disk,
		FreeBytes: func(string) (uint64, error) { return 1 << 40, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := rep.Node.Open(); err != nil {
		t.Fatal(err)
	}
	rep.Space.Look()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- rep.Node.Run(ctx, nobody{}) }()
	srv := httpapi.NewServer(rep.API, httpapi.ServerConfig{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	t.Cleanup(func() {
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := disk.Close(); err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

// request sends a request, and returns the connection.
func request(t *testing.T, addr, method string, timeout time.Duration) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "%s /v1/kv/k?timeout=%v HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", method, timeout); err != nil {
		t.Fatal(err)
	}
	return conn
}

// status reads the answer to a request.
func status(t *testing.T, conn net.Conn) int {
	t.Helper()
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// load is what a process holds.
func load() (heap uint64, goroutines int) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse, runtime.NumGoroutine()
}

// TestClientsThatHangUp: a member without a quorum does not notice that its clients
// are gone. They come again and again, and what it holds for them is bounded by what
// may wait, until their time is over; then it holds nothing.
func TestClientsThatHangUp(t *testing.T) {
	const (
		clients = 2000
		room    = 250 // reads, and as many writes
		timeout = 5 * time.Second
	)
	addr := lonely(t, room)
	if got := status(t, request(t, addr, "GET", time.Second)); got != http.StatusServiceUnavailable { // all is in place
		t.Fatalf("a read without a quorum: %d", got)
	}
	before, idle := load()
	begin := time.Now()
	var wg sync.WaitGroup
	for _, method := range []string{"GET", "PUT"} {
		wg.Go(func() {
			for range clients / 2 {
				_ = request(t, addr, method, timeout).Close()
			}
		})
	}
	wg.Wait()
	for _, method := range []string{"GET", "PUT"} {
		if got := status(t, request(t, addr, method, time.Second)); got != http.StatusTooManyRequests {
			t.Errorf("%s beyond what may wait: %d", method, got)
		}
	}
	came := time.Since(begin)
	eventually(t, "those who found no room to be gone", func() bool { return runtime.NumGoroutine() <= idle+2*room+10 })
	held, goroutines := load()
	t.Logf("%d clients in %v: %d goroutines and %d KiB, before %d and %d KiB", clients, came, goroutines, held>>10, idle, before>>10)
	if came > timeout {
		t.Fatal("they took so long to come that the first had been answered: the run shows nothing")
	}
	if limit := before + 2*room*64<<10; held > limit {
		t.Errorf("%d KiB are held, more than 64 KiB for each that waits", held>>10)
	}

	eventually(t, "all of it to be over", func() bool { return runtime.NumGoroutine() <= idle+5 })
	if took := time.Since(begin); took < timeout {
		t.Errorf("over after %v: nobody waited", took)
	}
	after, _ := load()
	t.Logf("afterwards %d KiB", after>>10)
	if after > before+4<<20 {
		t.Errorf("%d KiB are kept, before it were %d", after>>10, before>>10)
	}
	for _, method := range []string{"GET", "PUT"} {
		if got := status(t, request(t, addr, method, time.Second)); got != http.StatusServiceUnavailable {
			t.Errorf("%s afterwards: %d", method, got)
		}
	}
}

// eventually waits for what other goroutines are about to do.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for late := time.Now().Add(time.Minute); !done(); <-tick.C {
		if time.Now().After(late) {
			t.Fatalf("never: %s", what)
		}
	}
}
