package transport

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func fetchAll(ctx context.Context, n *node, from, index uint64) ([]byte, error) {
	body, err := n.FetchSnapshot(ctx, from, index)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(body)
	return b, errors.Join(err, body.Close(), body.Close())
}

// TestFetch: a body comes whole, though the peer takes longer to begin, and to
// send, than its server allows for ordinary requests.
func TestFetch(t *testing.T) {
	const size = 3 << 20
	var asked uint64
	var body *noise
	src := &recorder{open: func(index uint64) (io.ReadCloser, int64, error) {
		asked = index
		time.Sleep(serverTimeout + 100*time.Millisecond)
		body = newNoise(size)
		body.failAt, body.stall = size/2, make(chan struct{})
		time.AfterFunc(serverTimeout+100*time.Millisecond, func() { close(body.stall) })
		return body, size, nil
	}}
	n1, n2 := pair(t, nil, src, nil)
	got, err := fetchAll(t.Context(), n1, 2, 77)
	want, _ := io.ReadAll(newNoise(size))
	if err != nil || !bytes.Equal(got, want) || asked != 77 {
		t.Errorf("%d bytes of snapshot %d, error %v", len(got), asked, err)
	}
	waitFor(t, "the body to be closed", body.closed.Load)
	waitFor(t, "the counters", func() bool {
		return n1.Stats().Peers[2].ReceivedBytes >= size && n2.Stats().Peers[1].SentBytes >= size
	})
}

func TestFetchFailures(t *testing.T) {
	const size = 1 << 20
	failing := newNoise(size)
	failing.failAt = size / 2
	for _, c := range []struct {
		name     string
		src      *recorder
		from     uint64
		limit    int64
		contains string
	}{
		{"none there", new(recorder), 2, 0, "404"},
		{"body fails at half", opens(failing, size), 2, 0, "cut with"},
		{"body shorter than said", opens(newNoise(size-1), size), 2, 0, "cut with 1 of"},
		{"body longer than said", opens(newNoise(size+1), size), 2, 0, "cut in the trailer"},
		{"too large", opens(newNoise(size), size), 2, size - 1, "limit 1048575"},
		{"unknown peer", opens(newNoise(size), size), 7, 0, "unknown peer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n1, _ := pair(t, nil, c.src, func(cfg *Config) { cfg.MaxSnapshotBytes = c.limit })
			if b, err := fetchAll(t.Context(), n1, c.from, 77); !strings.Contains(fmt.Sprint(err), c.contains) {
				t.Errorf("%d bytes, error %v, want %q in it", len(b), err, c.contains)
			}
			if len(n1.giving) != 0 {
				t.Errorf("still giving: %v", n1.giving)
			}
		})
	}
}

// TestFetchEnds: a body that does not come, in the beginning or in the middle, is
// given up; so is one that nobody wants any more, on either side.
func TestFetchEnds(t *testing.T) {
	quick := func(c *Config) { c.SnapshotStall, c.SnapshotAnswer = 300*time.Millisecond, 300*time.Millisecond }
	start := func(t *testing.T, change func(*Config)) (*node, *node) {
		body := newNoise(1 << 20)
		body.failAt, body.stall = 1<<19, make(chan struct{})
		n1, n2 := pair(t, nil, opens(body, 1<<20), change)
		t.Cleanup(func() { close(body.stall) }) // before Run is waited for
		return n1, n2
	}
	t.Run("stall", func(t *testing.T) {
		n1, _ := start(t, quick)
		if _, err := fetchAll(t.Context(), n1, 2, 77); !errors.Is(err, errSnapshotStalled) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("no answer", func(t *testing.T) {
		stop := make(chan struct{})
		n1, _ := pair(t, nil, &recorder{open: func(uint64) (io.ReadCloser, int64, error) {
			<-stop
			return nil, 0, errors.New("late")
		}}, quick)
		if _, err := fetchAll(t.Context(), n1, 2, 77); !errors.Is(err, errSnapshotStalled) {
			t.Errorf("error %v", err)
		}
		close(stop)
	})
	t.Run("caller", func(t *testing.T) {
		n1, _ := start(t, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if _, err := fetchAll(ctx, n1, 2, 77); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("Run", func(t *testing.T) {
		n1, _ := start(t, nil)
		time.AfterFunc(200*time.Millisecond, n1.stopRun)
		if _, err := fetchAll(t.Context(), n1, 2, 77); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}

// TestFetchOneAtATime: a peer that asks twice is refused the second.
func TestFetchOneAtATime(t *testing.T) {
	body := newNoise(1 << 20)
	body.failAt, body.stall = 1<<19, make(chan struct{})
	n1, _ := pair(t, nil, opens(body, 1<<20), nil)
	first, err := n1.FetchSnapshot(t.Context(), 2, 77)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := n1.FetchSnapshot(t.Context(), 2, 77); !strings.Contains(fmt.Sprint(err), "429") {
		t.Errorf("second: %v", err)
	}
	close(body.stall)
	if n, err := io.Copy(io.Discard, first); n != 1<<20 || err != nil {
		t.Errorf("first: %d bytes, %v", n, err)
	}
}

// TestFetchAdmission: the same rules as for all that members ask of each other.
func TestFetchAdmission(t *testing.T) {
	n := alone(t, opens(newNoise(100), 100))
	for _, c := range []struct {
		name, path, header, value string
		want                      int
	}{
		{"good", "/77", "", "", 200},
		{"no index", "/x", "", "", 400},
		{"index 0", "/0", "", "", 400},
		{"index too high", "/18446744073709551616", "", "", 400},
		{"other cluster", "/77", headerCluster, "0000000000000001", 412},
		{"other protocol", "/77", headerProtocol, "2", 426},
		{"unknown member", "/77", headerFrom, "77", 403},
		{"to another member", "/77", headerTo, "3", 403},
		{"from a page", "/77", "Sec-Fetch-Site", "cross-site", 200}, // reading is harmless there
		{"other host", "/77", "Host", "evil.example", 421},
	} {
		req, err := http.NewRequest(http.MethodGet, n.url+pathSnapshot+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(headerProtocol, protocolVersion)
		req.Header.Set(headerCluster, formatCluster(testCluster))
		req.Header.Set(headerFrom, "2")
		req.Header.Set(headerTo, "1")
		if c.header == "Host" {
			req.Host = c.value
		} else if c.header != "" {
			req.Header.Set(c.header, c.value)
		}
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%s: status %d, want %d", c.name, resp.StatusCode, c.want)
		}
	}
}

// TestFetchFromLiar: a body that does not match its trailer, or an answer that is
// not the peer's.
func TestFetchFromLiar(t *testing.T) {
	data := bytes.Repeat([]byte("snapshot"), 10_000)
	answer := func(from uint64, sum uint32) []byte {
		b := binary.BigEndian.AppendUint64(nil, uint64(len(data)))
		b = append(b, data...)
		b = binary.BigEndian.AppendUint64(b, uint64(len(data)))
		b = binary.BigEndian.AppendUint32(b, sum)
		return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s: %s\r\n%s: %d\r\nConnection: close\r\n\r\n%s",
			len(b), headerCluster, formatCluster(testCluster), headerFrom, from, b)
	}
	sum := crc32.Checksum(data, castagnoli)
	for _, c := range []struct {
		name     string
		answer   []byte
		contains string
	}{
		{"good", answer(2, sum), "<nil>"},
		{"wrong sum", answer(2, sum+1), "checksum"},
		{"another member", answer(3, sum), `given by "3"`},
		{"redirect", []byte("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"), "302"},
		{"nothing", nil, "EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ln := listen(t, "127.0.0.1:0")
			done := make(chan struct{})
			go func() {
				defer close(done)
				for {
					conn, err := ln.Accept()
					if err != nil {
						return
					}
					liar(conn, c.answer)
				}
			}()
			n := startNode(t, 1, nil, nil)
			n.SetPeers(map[uint64]string{2: "http://" + ln.Addr().String()})
			got, err := fetchAll(t.Context(), n, 2, 77)
			if !strings.Contains(fmt.Sprint(err), c.contains) || err == nil && !bytes.Equal(got, data) {
				t.Errorf("%d bytes, error %v, want %q in it", len(got), err, c.contains)
			}
			n.stopRun()
			ln.Close()
			<-done
		})
	}
}

// liar answers a request for a snapshot, and hangs up on all others.
func liar(conn net.Conn, answer []byte) {
	defer conn.Close()
	b := make([]byte, 4096)
	n, err := conn.Read(b)
	if err == nil && bytes.HasPrefix(b[:n], []byte("GET "+pathSnapshot)) {
		_, _ = conn.Write(answer)
	}
}
