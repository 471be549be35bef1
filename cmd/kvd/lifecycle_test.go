package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A cluster's life: founded by three, joined by a fourth that adds itself and
// a fifth that was added before, left by the third.
func TestClusterGrowsAndShrinks(t *testing.T) {
	dir := t.TempDir()
	place := func(id int, args ...string) []string {
		return append([]string{"--data-dir", filepath.Join(dir, fmt.Sprint(id)), "--compat=raftexample"}, args...)
	}
	founders := foundingArgs(t, 3)
	for id, args := range founders {
		founders[id] = place(id, args...)
	}
	members := startTogether(t, founders)
	members[1].do("PUT", "/my-key", "hello", http.StatusNoContent)

	four := place(4, "--join", members[2].client, "--name", "fourth", "--listen-peer", freeAddress(t))
	members[4] = start(t, four...)
	peer5 := freeAddress(t)
	members[1].do("POST", "/5", "http://"+peer5, http.StatusNoContent)
	members[5] = start(t, place(5, "--id", "5", "--join", members[4].client, "--listen-peer", peer5)...)
	for id, m := range members {
		if got := m.do("GET", "/my-key", "", http.StatusOK); got != "hello" {
			t.Errorf("member %d has %q, want hello", id, got)
		}
	}
	waitForVoters(t, members[1], 5)
	var list string
	members[5].eventually("names and client URLs of all", func() bool {
		_, list = members[5].once("GET", "/v1/members", "")
		return strings.Contains(list, `"name":"fourth"`) && strings.Contains(list, members[5].client)
	}, &list)

	members[1].do("DELETE", "/3", "", http.StatusNoContent)
	if code, last := members[3].wait(); code != exitRemoved || !strings.Contains(last, "member 3 (n3) was removed") {
		t.Errorf("removed member ended with %d: %s", code, last)
	}
	code, last := launch(t, founders[3]...).wait()
	if code != exitRemoved {
		t.Errorf("removed member, started again, ended with %d: %s", code, last)
	}

	members[4].shutdown()
	members[1].do("PUT", "/my-key", "again", http.StatusNoContent)
	members[4] = start(t, four...) // --join is ignored now
	if got := members[4].do("GET", "/my-key", "", http.StatusOK); got != "again" {
		t.Errorf("restarted member has %q, want again", got)
	}
	for _, id := range []int{1, 2, 4, 5} {
		members[id].shutdown()
	}
}

func waitForVoters(t *testing.T, m *running, n int) {
	t.Helper()
	var list string
	m.eventually(fmt.Sprintf("%d voters", n), func() bool {
		_, list = m.once("GET", "/v1/members", "")
		return strings.Count(list, `"role":"voter"`)+strings.Count(list, `"role":"leader"`) == n
	}, &list)
}

// A member that stops hands its leadership on, and finishes what it has begun.
func TestStopUnderLoad(t *testing.T) {
	founders := foundingArgs(t, 3)
	for id, args := range founders {
		founders[id] = append(args, "--data-dir", t.TempDir())
	}
	members := startTogether(t, founders)
	var status struct {
		Leader int `json:"leader"`
	}
	members[1].do("PUT", "/v1/kv/a", "0", http.StatusCreated)
	if err := json.Unmarshal([]byte(members[1].do("GET", "/v1/status", "", http.StatusOK)), &status); err != nil || status.Leader == 0 {
		t.Fatalf("leader %d, %v", status.Leader, err)
	}
	leader := members[status.Leader]

	var wg sync.WaitGroup
	var mu sync.Mutex
	answers := map[int]int{}
	for range 8 {
		wg.Go(func() {
			for {
				status, _ := leader.once("PUT", "/v1/kv/a", "x")
				mu.Lock()
				answers[status]++
				mu.Unlock()
				if status == 0 {
					return // it listens no more
				}
			}
		})
	}
	begin := time.Now()
	leader.shutdown()
	wg.Wait()
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("stopping took %v", took)
	}
	// Before the stop 204, from then on 503; a transfer under way refuses
	// what reaches it, and knows that it does.
	delete(answers, http.StatusNoContent)
	delete(answers, http.StatusServiceUnavailable)
	delete(answers, 0)
	if len(answers) > 0 {
		t.Errorf("answers while stopping, by status: %v; want 204 and 503 alone", answers)
	}
}
