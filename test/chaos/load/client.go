package load

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"time"

	"kvd/test/chaos/history"
)

const (
	opTimeout  = 2 * time.Second // what clients ask for with timeout=
	opPatience = opTimeout + 1500*time.Millisecond
	backOff    = 80 * time.Millisecond // after an answer that was none
)

// client sends one request after the other and stays with a member while that
// answers.
type client struct {
	l    *Load
	id   int
	rng  *rand.Rand
	http *http.Client
	to   Endpoint

	writes int
}

func newClient(l *Load, id int, rng *rand.Rand) *client {
	c := &client{l: l, id: id, rng: rng}
	c.http = &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 1,
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				ctx, cancel := context.WithTimeout(ctx, time.Second)
				defer cancel()
				conn, err := l.cfg.Dial(ctx, network, addr)
				if err != nil {
					return nil, err
				}
				return &numbered{conn, l.conns.Add(1)}, nil
			},
		},
	}
	c.move()
	return c
}

func (c *client) close() { c.http.CloseIdleConnections() }

// numbered is a connection that a history can name.
type numbered struct {
	net.Conn
	number int64
}

// move goes to another member, or any if there is no other.
func (c *client) move() {
	all := c.l.cfg.Endpoints()
	others := slices.DeleteFunc(slices.Clone(all), func(e Endpoint) bool { return e == c.to })
	if len(others) > 0 {
		all = others
	}
	c.to = all[c.rng.IntN(len(all))]
}

// value is one that nothing else writes.
func (c *client) value() string {
	c.writes++
	return strconv.Itoa(c.id) + "." + strconv.Itoa(c.writes)
}

// request is one attempt of an operation.
type request struct {
	method, path string // the path is escaped
	query        url.Values
	body         []byte
	header       []string // names and values in turn
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// begin fills in what an operation has in common with all others.
func (c *client) begin(o *history.Op) *history.Op {
	o.ID, o.Client, o.Start = c.l.cfg.History.NextID(), c.id, c.l.cfg.History.Now()
	return o
}

// end writes an operation down, and goes to another member if this one had no
// answer.
func (c *client) end(ctx context.Context, o *history.Op) {
	o.End = c.l.cfg.History.Now()
	_ = c.l.cfg.History.Op(o) // Close of the history tells
	c.l.tally.count(o)
	if o.Outcome != history.OK {
		c.rest(ctx)
	} else if c.rng.IntN(500) == 0 {
		c.move() // or the members that were hurt would have no clients ever after
	}
}

// rest gives the cluster a moment, and moves on.
func (c *client) rest(ctx context.Context) {
	c.move()
	t := time.NewTimer(backOff/2 + time.Duration(c.rng.Int64N(int64(backOff))))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// try makes one attempt, and says of the operation what is known after it; r is
// nil unless there was an answer. It does not depend on the end of the run: what
// was begun is waited for.
func (c *client) try(o *history.Op, q request) (r *answer) {
	ctx, cancel := context.WithTimeout(context.Background(), opPatience)
	defer cancel()
	o.Tries++
	o.Member, o.Conn, o.Status, o.Code = c.to.Name, 0, 0, ""
	r, conn, err := c.send(ctx, q)
	if err != nil {
		o.Outcome = history.Unknown
		if conn == 0 || !isWrite(o.Kind) {
			o.Outcome = history.Failed // a read changes nothing
		}
		return nil
	}
	o.Conn, o.Status = conn, r.status
	c.judge(o, q, r)
	return r
}

// send sends a request and reads the answer. conn is the connection that it was
// sent over, 0 for none: then the request never left. What the error says is not
// enough for that: the transport sends a request with an idempotency key again by
// itself, and tells the last error alone.
func (c *client) send(ctx context.Context, q request) (r *answer, conn int64, err error) {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		if n, ok := i.Conn.(*numbered); ok {
			conn = n.number
		}
	}})
	if q.query == nil {
		q.query = url.Values{}
	}
	q.query.Set("timeout", opTimeout.String())
	req, err := http.NewRequestWithContext(ctx, q.method, c.to.URL+q.path+"?"+q.query.Encode(), bytes.NewReader(q.body))
	if err != nil {
		return nil, 0, err
	}
	for i := 0; i+1 < len(q.header); i += 2 {
		req.Header.Set(q.header[i], q.header[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, conn, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, conn, err
	}
	return &answer{resp.StatusCode, resp.Header, b}, conn, nil
}
