package test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Both forms of a watch, from the leader and from a follower: ids stand on the
// last event of a revision, and a stream goes on after one.
func TestWatchForms(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3)
	leader := c.leader()
	for _, m := range []*member{leader, c.followers(leader)[0]} {
		t.Run(m.name(), func(t *testing.T) {
			p := fmt.Sprintf("w%d/", m.id)
			first := leader.put(p+"a", "1")
			r, err := post(leader, "/v1/txn", fmt.Sprintf(`{"then":[{"put":{"key":"%[1]sa","value":"2"}},{"put":{"key":"%[1]sb","value":"3"}}]}`, p))
			if err != nil || r.status != 200 {
				t.Fatal(r, err)
			}
			if r, err = post(leader, "/v1/leases", `{"ttl":"1s"}`); err != nil || r.status != 201 {
				t.Fatal(r, err)
			}
			var lease struct{ ID string }
			_ = json.Unmarshal(r.body, &lease)
			leader.call(http.MethodPut, "/v1/kv/"+p+"c?lease="+lease.ID, []byte("4")).mustBe(t, 201)
			leader.call(http.MethodDelete, "/v1/kv/"+p+"b", nil).mustBe(t, 204)

			// Server-sent events, by line.
			want := fmt.Sprintf(`id: %[2]d
event: progress
data: {"type":"progress","revision":%[2]d}

event: put
data: {"type":"put","key":"%[1]sa","value":"2","mod_revision":%[3]d,"create_revision":%[2]d,"version":2,"content_type":"application/octet-stream","prev":{"key":"%[1]sa","value":"1","mod_revision":%[2]d,"create_revision":%[2]d,"version":1,"content_type":"application/octet-stream"}}

id: %[3]d
event: put
data: {"type":"put","key":"%[1]sb","value":"3","mod_revision":%[3]d,"create_revision":%[3]d,"version":1,"content_type":"application/octet-stream","prev":null}

id: %[4]d
event: put
data: {"type":"put","key":"%[1]sc","value":"4","mod_revision":%[4]d,"create_revision":%[4]d,"version":1,"content_type":"application/octet-stream","lease":"%[6]s","prev":null}

id: %[5]d
event: delete
data: {"type":"delete","key":"%[1]sb","mod_revision":%[5]d,"prev":{"key":"%[1]sb","value":"3","mod_revision":%[3]d,"create_revision":%[3]d,"version":1,"content_type":"application/octet-stream"}}

id: %[7]d
event: expire
data: {"type":"expire","key":"%[1]sc","mod_revision":%[7]d,"prev":{"key":"%[1]sc","value":"4","mod_revision":%[4]d,"create_revision":%[4]d,"version":1,"content_type":"application/octet-stream","lease":"%[6]s"}}
`, p, first, first+1, first+2, first+3, lease.ID, first+4)
			wantLines(t, m, "prefix="+p+"&prev=true", fmt.Sprint(first), want)

			// Lines, of some kinds, from a revision and with another key.
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			s, err := openWatch(ctx, m, fmt.Sprintf("key=%[1]sb&key=%[1]sc&since=%[2]d&events=delete,expire", p, first))
			if err != nil {
				t.Fatal(err)
			}
			defer s.close()
			for _, want := range []watchEvent{
				{ID: first, Type: "progress", Revision: first},
				{ID: first + 3, Type: "delete", Key: p + "b", ModRevision: first + 3},
				{ID: first + 4, Type: "expire", Key: p + "c", ModRevision: first + 4},
			} {
				if got, err := s.next(); err != nil || got != want {
					t.Errorf("got %+v, %v, want %+v", got, err, want)
				}
			}
		})
	}
}

// wantLines reads a stream of server-sent events until it has all lines.
func wantLines(t *testing.T, m *member, query, lastID, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.clientURL+"/v1/watch?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Last-Event-ID", lastID)
	res, err := streamClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if ct := res.Header.Get("Content-Type"); res.StatusCode != 200 || ct != "text/event-stream" {
		t.Errorf("%d %s", res.StatusCode, ct)
	}
	lines := bufio.NewScanner(res.Body)
	for want := range strings.Lines(want) {
		if !lines.Scan() {
			t.Fatalf("the stream ended before %s: %v", want, lines.Err())
		}
		if got := lines.Text() + "\n"; got != want {
			t.Errorf("got  %swant %s", got, want)
		}
	}
}

// A watcher that reads nothing costs nobody anything. When the history has gone
// past it, it gets all that was sent, in order and without a gap, and is told.
func TestWatchReset(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, "--history-revisions", "20")
	leader := c.leader()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	from := leader.put("k", "0")
	s, err := openWatch(ctx, c.followers(leader)[0], fmt.Sprintf("since=%d", from))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	value := strings.Repeat("v", 256<<10)
	for i := range 100 { // far more than sockets hold, and fast: nobody waits for the watcher
		began := time.Now()
		leader.put("k", value)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("write %d took %v", i, took)
		}
	}
	waitFor(t, 20*time.Second, "history to be forgotten", func() error {
		r, err := leader.get(fmt.Sprintf("/v1/kv/k?revision=%d", from+70))
		if err == nil {
			err = r.want(http.StatusGone)
		}
		return err
	})
	wantReset(t, s, from)
}

// A watcher on a member that comes back by a snapshot, which does not reach back
// to it, is told and does not jump.
func TestWatchOverSnapshot(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, "--history-revisions", "20", "--snapshot-entries", "100")
	leader := c.leader()
	away := c.followers(leader)[0]
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	from := leader.put("k", "0")
	c.waitApplied(10 * time.Second)
	s, err := openWatch(ctx, away, fmt.Sprintf("since=%d", from))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if _, err := s.next(); err != nil { // the progress it begins with
		t.Fatal(err)
	}
	freeze(away)
	for i := range 600 { // the frozen member still has the first 256 messages in its sockets
		leader.put("k", fmt.Sprint(i))
	}
	waitFor(t, 20*time.Second, "history to be forgotten", func() error {
		r, err := leader.get(fmt.Sprintf("/v1/kv/k?revision=%d", from+500))
		if err == nil {
			err = r.want(http.StatusGone)
		}
		return err
	})
	// Only a snapshot taken from here on has forgotten it too.
	forgotten := leader.mustStatus().CommitIndex
	for i := 0; ; i++ {
		leader.put("k", fmt.Sprint(i))
		if i%50 == 0 && leader.mustStatus().FirstIndex > forgotten+1 {
			break
		}
		if i > 20_000 {
			t.Fatal("the log keeps everything")
		}
	}
	away.cont()
	wantReset(t, s, from)
}

// wantReset reads a stream to its end.
func wantReset(t *testing.T, s *watchStream, last uint64) {
	t.Helper()
	for {
		ev, err := s.next()
		if err != nil {
			t.Fatalf("after revision %d: %v, want a reset first", last, err)
		}
		switch ev.Type {
		case "progress":
		case "put":
			if ev.ModRevision != last+1 {
				t.Fatalf("revision %d after %d", ev.ModRevision, last)
			}
			last = ev.ModRevision
		case "reset":
			if ev.OldestRevision <= last {
				t.Errorf("reset to %d after revision %d", ev.OldestRevision, last)
			}
			if ev, err := s.next(); err == nil {
				t.Errorf("%+v after the reset", ev)
			}
			return
		default:
			t.Fatalf("%+v", ev)
		}
	}
}
