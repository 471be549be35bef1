package clustertest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"kvd/internal/kvstore"
)

// told is one event of a watch, as either format has it.
type told struct {
	Type        string  `json:"type"`
	Key         string  `json:"key"`
	Value       string  `json:"value"`
	Value64     []byte  `json:"value_base64"`
	ModRevision uint64  `json:"mod_revision"`
	Revision    uint64  `json:"revision"` // of a progress
	ID          *uint64 `json:"id"`       // in lines; server-sent events have it in a field
}

// watchState is one watch over all its connections.
type watchState struct {
	prefix  string
	events  bool   // server-sent ones; else lines
	begun   bool   // it has a place in the history
	from    uint64 // where that was
	id      uint64 // the last that was seen: from here it goes on
	pending []streamed
	all     []streamed
}

// watches follows all changes below a prefix, from one member to the next, and
// goes on where it was each time.
func (s *sim) watches(a *client, prefix string) {
	w := &watchState{prefix: prefix, events: a.rng.IntN(2) == 0}
	for !s.over() {
		if srv := a.member(); srv != nil {
			s.watch(a, srv, w)
		}
		a.pause(200 * time.Millisecond)
	}
	s.endWatch(w)
}

// endWatch claims what the watch has seen, and forgets it.
func (s *sim) endWatch(w *watchState) {
	if w.begun {
		s.claims.stream(streamClaim{prefix: w.prefix, after: w.from, upTo: w.id, events: w.all})
	}
	*w = watchState{prefix: w.prefix, events: w.events}
}

// watch follows on one connection until that ends, or it is time for another.
func (s *sim) watch(a *client, srv *server, w *watchState) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+a.rng.IntN(15))*time.Second)
	defer cancel()
	q := call{method: "GET", path: "/v1/watch?prefix=" + w.prefix, header: make(http.Header)}
	if w.events {
		q.header.Set("Accept", "text/event-stream")
	}
	w.pending = nil
	if w.begun {
		if w.events {
			q.header.Set("Last-Event-ID", fmt.Sprint(w.id))
		} else {
			q.path += fmt.Sprintf("&since=%d", w.id)
		}
	}
	if !a.wire() {
		return
	}
	conn := srv.connect(ctx, &s.c.Net.wg, q.method, q.path, q.header, nil)
	var rest string
	for !s.over() {
		b, err := conn.read(ctx)
		if err != nil {
			return
		}
		if conn.status != http.StatusOK {
			if conn.status == http.StatusGone {
				s.claims.count("watch behind the history")
				s.endWatch(w)
			}
			return
		}
		rest += string(b)
		for {
			end := "\n"
			if w.events {
				end = "\n\n"
			}
			one, more, ok := strings.Cut(rest, end)
			if !ok {
				break
			}
			rest = more
			if !s.take(w, one) {
				return
			}
		}
	}
}

// take takes in one event; false: the stream has said that it ends.
func (s *sim) take(w *watchState, text string) bool {
	var e told
	data, id := text, ""
	if w.events {
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			if v, ok := strings.CutPrefix(line, "data: "); ok {
				data = v
			} else if v, ok := strings.CutPrefix(line, "id: "); ok {
				id = v
			}
		}
	}
	if err := json.Unmarshal([]byte(data), &e); err != nil {
		s.c.violated(fmt.Sprintf("a watch was told %q: %v", text, err))
		return false
	}
	if id != "" {
		e.ID = new(uint64)
		_, _ = fmt.Sscan(id, e.ID)
	}
	switch e.Type {
	case "reset":
		s.claims.count("watch that was reset")
		s.endWatch(w)
		return false
	case "progress":
	default:
		typ := map[string]kvstore.EventType{"put": kvstore.EventPut, "delete": kvstore.EventDelete, "expire": kvstore.EventExpire}[e.Type]
		v := e.Value
		if e.Value64 != nil {
			v = string(e.Value64)
		}
		w.pending = append(w.pending, streamed{e.ModRevision, change{typ, e.Key, v}})
	}
	if e.ID == nil {
		return true
	}
	if !w.begun {
		w.begun, w.from = true, *e.ID
		if e.Type != "progress" {
			s.c.violated(fmt.Sprintf("a watch begins with %q, not with its place in the history", text))
		}
	}
	if *e.ID < w.id {
		s.c.violated(fmt.Sprintf("a watch went back from %d to %d", w.id, *e.ID))
	}
	w.id = *e.ID
	w.all, w.pending = append(w.all, w.pending...), nil
	return true
}
