package load

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"kvd/test/chaos/history"
)

// watched is what a watcher asks for, always the same.
type watched struct {
	prefixes, keys, types []string
	prev                  bool
}

// watches are the watchers of a load.
func (l *Load) watches() []watched {
	return []watched{
		{prefixes: []string{"r/0/"}, prev: true},
		{prefixes: []string{"r/1/", "t/0/"}},
		{prefixes: []string{"t/", "l/"}},
		{prefixes: []string{"l/"}, types: []string{"expire", "delete"}},
		{prefixes: []string{"i/0/", "p/"}, prev: true},
		{prefixes: []string{"r/", "none/"}, types: []string{"delete"}},
	}
}

// watcher follows a part of the store, on one member after the other, and misses
// nothing.
type watcher struct {
	*client
	number int
	what   watched

	stream int
	last   uint64 // the last id
	begun  bool   // there is one

	ids chan uint64 // takes the newest id, for who waits for it; nil: nobody does
}

// step follows one stream, and goes elsewhere then.
func (w *watcher) step(ctx context.Context) {
	// Not longer than this, so that streams are resumed often and elsewhere.
	ctx, cancel := context.WithTimeout(ctx, time.Duration(2000+w.rng.IntN(8000))*time.Millisecond)
	defer cancel()
	if w.read(ctx) {
		w.move()
	}
}

// read opens a stream and follows it to its end. It returns false where there was
// none.
func (w *watcher) read(ctx context.Context) bool {
	w.stream++
	opened := &history.Watch{Watcher: w.number, Stream: w.stream, What: history.Open, Member: w.to.Name,
		Keys: w.what.keys, Prefixes: w.what.prefixes, Types: w.what.types, Prev: w.what.prev}
	resp, err := w.open(ctx, opened)
	if err != nil {
		w.stream-- // nobody heard of it
		w.rest(ctx)
		return false
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		w.refused(resp, opened)
		w.rest(ctx)
		return false
	}
	w.note(opened)
	w.follow(resp.Body)
	w.note(&history.Watch{Watcher: w.number, Stream: w.stream, What: history.Closed})
	return true
}

// open asks for a stream: from now the first time, then from the last id on.
func (w *watcher) open(ctx context.Context, o *history.Watch) (*http.Response, error) {
	query := url.Values{}
	for _, p := range w.what.prefixes {
		query.Add("prefix", p)
	}
	for _, k := range w.what.keys {
		query.Add("key", k)
	}
	if w.what.types != nil {
		query.Set("events", strings.Join(w.what.types, ","))
	}
	if w.what.prev {
		query.Set("prev", "true")
	}
	header := http.Header{"Accept": {"text/event-stream"}}
	switch {
	case !w.begun:
		o.FromNow = true
	case w.rng.IntN(2) == 0:
		o.Since, o.Resumed = w.last, true
		header.Set("Last-Event-ID", strconv.FormatUint(w.last, 10))
	default:
		o.Since = w.last
		query.Set("since", strconv.FormatUint(w.last, 10))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.to.URL+"/v1/watch?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	req.Header = header
	return w.http.Do(req)
}

// refused notes an answer that is no stream. One that asks for a revision that
// the member has not reached yet goes elsewhere.
func (w *watcher) refused(resp *http.Response, o *history.Watch) {
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.stream--
		return
	}
	var p struct {
		Code   string `json:"code"`
		Oldest uint64 `json:"oldest_revision"`
	}
	if err := json.Unmarshal(b, &p); err != nil {
		w.l.tally.surprise("a watch on %s: %d %.200s", w.to.Name, resp.StatusCode, b)
	}
	o.What, o.Status, o.Code, o.Oldest = history.Refused, resp.StatusCode, p.Code, p.Oldest
	w.note(o)
	if p.Code == "compacted" {
		w.begun = false // begin anew
	}
}

func (w *watcher) note(x *history.Watch) {
	x.At = w.l.cfg.History.Now()
	_ = w.l.cfg.History.Watch(x) // Close of the history tells
}

// follow reads a stream of Server-Sent Events to its end.
func (w *watcher) follow(stream io.Reader) {
	lines := bufio.NewReaderSize(stream, 64<<10)
	var id, event, data string
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return // what stands there without an empty line after it does not count
		}
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			if data != "" && !w.event(id, event, data) {
				return
			}
			id, event, data = "", "", ""
			continue
		}
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "id":
			id = value
		case "event":
			event = value
		case "data":
			data += value
		}
	}
}

// event notes one event. It returns false when the stream cannot go on.
func (w *watcher) event(id, event, data string) bool {
	x := &history.Watch{Watcher: w.number, Stream: w.stream, What: history.Event, Type: event}
	if id != "" {
		n, err := strconv.ParseUint(id, 10, 64)
		if err != nil {
			w.l.tally.surprise("a watch on %s: id %q", w.to.Name, id)
			return false
		}
		x.ID = n
	}
	var j struct {
		itemJSON
		Prev   *itemJSON `json:"prev"`
		Oldest uint64    `json:"oldest_revision"`
	}
	if err := json.Unmarshal([]byte(data), &j); err != nil {
		w.l.tally.surprise("a watch on %s: %v in %.200s", w.to.Name, err, data)
		return false
	}
	switch event {
	case "progress":
		x.What, x.Type = history.Progress, ""
	case "reset":
		x.What, x.Type, x.Oldest = history.Reset, "", j.Oldest
	default:
		item := j.item()
		if event != "put" {
			item.NoValue = false // there is none
		}
		x.Item = &item
		if j.Prev != nil {
			prev := j.Prev.item()
			x.PrevItem = &prev
		}
		w.l.tally.event()
	}
	w.note(x)
	if id != "" {
		w.last, w.begun = x.ID, true
		w.publish(x.ID)
	}
	if x.What == history.Reset {
		w.begun = false
		return false
	}
	return true
}

// publish puts an id in the place of the one that nobody has taken yet.
func (w *watcher) publish(id uint64) {
	select {
	case <-w.ids:
	default:
	}
	select {
	case w.ids <- id:
	default: // nobody waits for it
	}
}
