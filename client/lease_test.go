package client

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func kept(ttl string) reply {
	return reply{status: 200, header: http.Header{"Content-Type": {"application/json"}}, body: `{"remaining":"` + ttl + `"}`}
}

// KeepAlive asks three times within each TTL, and ends for a reason.
func TestKeepAlive(t *testing.T) {
	gone := problemReply(404, "not_found", NotApplied)
	for _, tt := range []struct {
		name    string
		replies []reply
		after   time.Duration // when it ends
		within  time.Duration // of that
		err     error
		times   int // it asked; 0: any
	}{
		{"until the context ends", []reply{kept("30s")}, 95 * time.Second, 0, context.Canceled, 10},
		{"gone from the start", []reply{gone}, 0, 0, ErrNotFound, 1},
		{"gone", []reply{kept("30s"), kept("30s"), gone}, 20 * time.Second, 0, ErrNotFound, 3},
		{"a member hangs", []reply{kept("30s"), silence, kept("30s"), gone}, 20 * time.Second, 0, ErrNotFound, 4},
		{"a member hangs, and the TTL is short", []reply{kept("3s"), silence, kept("3s"), gone}, 2 * time.Second, 0, ErrNotFound, 4},
		{"an answer takes long", []reply{late(kept("3s"), 2*time.Second), silence}, 3 * time.Second, 0, context.DeadlineExceeded, 0},
		{"all hang", []reply{kept("30s"), silence}, 30 * time.Second, 0, context.DeadlineExceeded, 0},
		{"nobody leads", []reply{kept("90s"), problemReply(503, "no_leader", NotApplied)}, 90 * time.Second, time.Second, context.DeadlineExceeded, 0},
		{"nobody leads for a while", append(slow(40), kept("90s"), gone), 60 * time.Second, 40 * time.Second, ErrNotFound, 0},
		{"nothing remains", []reply{kept("0s")}, 0, 0, ErrBadAnswer, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := newScript(t, Config{}, tt.replies...)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				time.AfterFunc(95*time.Second, cancel)
				begun := time.Now()
				err := c.KeepAlive(ctx, 1)
				if took := time.Since(begun); took < tt.after-tt.within || took > tt.after+tt.within {
					t.Errorf("ended after %v, want %v", took, tt.after)
				}
				if !errors.Is(err, tt.err) {
					t.Errorf("got %v, want %v", err, tt.err)
				}
				if tt.times > 0 && len(s.sent) != tt.times {
					t.Errorf("asked %d times, want %d", len(s.sent), tt.times)
				}
				for _, r := range s.sent {
					if !strings.HasSuffix(r.path, "/0000000000000001/keepalive") || r.key != "" {
						t.Errorf("sent %+v", r)
					}
				}
			})
		})
	}
}

func late(r reply, delay time.Duration) reply {
	r.delay = delay
	return r
}

// slow is one success, and n answers that there is no leader.
func slow(n int) []reply {
	all := []reply{kept("90s")}
	for range n {
		all = append(all, problemReply(503, "no_leader", NotApplied))
	}
	return all
}
