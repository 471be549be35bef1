package test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"
)

// watchEvent is one line of a watch.
type watchEvent struct {
	ID             uint64      `json:"id"` // of what a stream can be resumed after; 0: none
	Type           string      `json:"type"`
	Key            string      `json:"key"`
	Value          string      `json:"value"`
	ModRevision    uint64      `json:"mod_revision"`
	CreateRevision uint64      `json:"create_revision"`
	Version        uint64      `json:"version"`
	Prev           *watchEvent `json:"prev"`
	Revision       uint64      `json:"revision"`        // of progress
	OldestRevision uint64      `json:"oldest_revision"` // of reset
}

// watchStream is one open watch, read as NDJSON.
type watchStream struct {
	res    *http.Response
	lines  *bufio.Scanner
	cancel context.CancelFunc
}

// streamClient opens a connection for each watch: to cut one must not hurt others.
var streamClient = &http.Client{Transport: &http.Transport{
	DisableKeepAlives: true,
	DialContext:       (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
	// A frozen member takes connections and says nothing.
	ResponseHeaderTimeout: 3 * time.Second,
}}

// openWatch begins a watch. An answer that is no stream is an error.
func openWatch(ctx context.Context, m *member, query string) (*watchStream, error) {
	ctx, cancel := context.WithCancel(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.clientURL+"/v1/watch?"+query, nil)
	if err != nil {
		cancel()
		return nil, err
	}
	res, err := streamClient.Do(req)
	if err != nil {
		cancel()
		return nil, err
	}
	w := &watchStream{res: res, lines: bufio.NewScanner(res.Body), cancel: cancel}
	w.lines.Buffer(nil, 8<<20)
	if res.StatusCode != http.StatusOK {
		w.lines.Scan()
		w.close()
		return nil, fmt.Errorf("watch %s of %s: %d %s", query, m.name(), res.StatusCode, w.lines.Text())
	}
	return w, nil
}

// next blocks until there is another event, or the stream is over.
func (w *watchStream) next() (watchEvent, error) {
	var ev watchEvent
	if !w.lines.Scan() {
		err := w.lines.Err()
		if err == nil {
			err = fmt.Errorf("the stream ended")
		}
		return ev, err
	}
	if err := json.Unmarshal(w.lines.Bytes(), &ev); err != nil {
		return ev, fmt.Errorf("%w in %q", err, w.lines.Text())
	}
	return ev, nil
}

func (w *watchStream) close() {
	w.cancel()
	w.res.Body.Close()
}
