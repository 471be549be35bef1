package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"kvd/internal/raftnode"
)

const (
	foundingPath    = "/raft/v1/founding" // on the peer port
	foundingTimeout = 2 * time.Second     // of one question
	foundingPause   = 100 * time.Millisecond
	foundingRemind  = 10 * time.Second // between two log lines about founders that do not answer
	foundingBytes   = 64 << 10         // most of an answer
)

// foundingDocument is the answer to GET /raft/v1/founding: how this member's
// cluster began, or is about to begin. A member that was no founder tells only
// who it is.
type foundingDocument struct {
	Member   uint64            `json:"member"`
	Cluster  string            `json:"cluster,omitempty"` // once it is founded
	Founders map[uint64]string `json:"founders,omitempty"`
	Tokens   map[uint64]string `json:"tokens,omitempty"` // all of them once it is founded, else the member's own
}

// foundingHandler tells other founders what they need to know. It answers from
// the first moment of a founder's life to the last.
type foundingHandler struct {
	doc atomic.Pointer[foundingDocument]
}

// tell sets the answer from a founding that is durable.
func (h *foundingHandler) tell(f *founding) {
	doc := &foundingDocument{Member: f.Member, Founders: f.Founders, Tokens: map[uint64]string{f.Member: f.Tokens[f.Member]}}
	if f.complete() {
		doc.Tokens, doc.Cluster = maps.Clone(f.Tokens), formatClusterID(f.cluster())
	}
	h.doc.Store(doc)
}

// identify sets the answer of a member that was no founder of its cluster.
func (h *foundingHandler) identify(id raftnode.Identity) {
	h.doc.Store(&foundingDocument{Member: id.Member, Cluster: formatClusterID(id.Cluster)})
}

func (h *foundingHandler) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	doc := h.doc.Load()
	if doc == nil {
		http.Error(w, "this member does not know its cluster yet", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(doc) // the other side asks again
}

// found waits until every founder has told its token, and returns the founding.
// It changes nothing but the file that remembers it. An error is final, or the
// end of ctx.
func found(ctx context.Context, cfg *config, lg *zap.Logger, disk *raftnode.Disk, f *founding, tell *foundingHandler) (*founding, error) {
	if f == nil || f.Member != cfg.ID {
		f = newFounding(cfg.ID, cfg.foundersOr(cfg.ID))
	} else if !f.complete() {
		f.name(cfg.foundersOr(cfg.ID)) // a list that was corrected before anything came of it
	}
	if err := f.save(disk); err != nil {
		return nil, err
	}
	tell.tell(f)
	client := newJoinClient("").http
	reminded := time.Time{}
	for !f.complete() {
		// All in one round: who was asked long ago may have another token by now.
		round := &founding{Member: f.Member, Founders: f.Founders, Tokens: map[uint64]string{f.Member: f.Tokens[f.Member]}}
		if err := askFounders(ctx, client, round); err != nil {
			return nil, explainFounding(cfg, err)
		}
		if round.complete() {
			f = round
			if err := f.save(disk); err != nil {
				return nil, err
			}
			tell.tell(f)
			break
		}
		if time.Since(reminded) > foundingRemind {
			reminded = time.Now()
			lg.Info("waiting for the other founding members", zap.Uint64s("missing", round.missing()))
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(foundingPause):
		}
	}
	return f, nil
}

// explainFounding gives a founder that has lost its directory the way out. The
// founding list does not tell where the others serve clients.
func explainFounding(cfg *config, err error) error {
	wiped, ok := errors.AsType[*wipedError](err)
	if !ok {
		return err
	}
	id := fmt.Sprint(wiped.member)
	return exitWith(exitDataDir, "%w; start it with that one, or replace the member%s: %s",
		wiped, blanks(id, anyMember), sameServe(cfg).inPlaceOf(id, anyMember, cfg.DataDir))
}

// askFounders asks every other founder once, side by side. Those that do not
// answer are missing in f afterwards.
func askFounders(ctx context.Context, client *http.Client, f *founding) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	answers := map[uint64]*foundingDocument{}
	for id, url := range f.Founders {
		if id == f.Member {
			continue
		}
		wg.Go(func() {
			doc, err := askFounding(ctx, client, url)
			if err != nil {
				return // not started yet, perhaps
			}
			mu.Lock()
			defer mu.Unlock()
			answers[id] = doc
		})
	}
	wg.Wait()
	// What a founder of a founded cluster remembers counts for more than what
	// another one says that is still waiting.
	for _, settled := range []bool{false, true} {
		for _, id := range slices.Sorted(maps.Keys(answers)) {
			doc := answers[id]
			if (doc.Cluster != "") != settled {
				continue
			}
			if err := f.learn(id, doc); err != nil {
				return err
			}
		}
	}
	return nil
}

// askFounding asks the member at a peer URL how its cluster began.
func askFounding(ctx context.Context, client *http.Client, url string) (*foundingDocument, error) {
	ctx, cancel := context.WithTimeout(ctx, foundingTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+foundingPath, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered %s", resp.Status)
	}
	doc := &foundingDocument{}
	if err := json.NewDecoder(io.LimitReader(resp.Body, foundingBytes)).Decode(doc); err != nil {
		return nil, err
	}
	if doc.Member == 0 {
		return nil, errors.New("answered without a member id")
	}
	return doc, nil
}
