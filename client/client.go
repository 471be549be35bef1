package client

import (
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
)

// Client talks to the members of one kvd cluster. It is safe for concurrent
// use, and one for a whole program is enough.
type Client struct {
	// Set by New.
	cfg       Config
	http      *http.Client
	own       bool // http's transport is nobody else's
	endpoints []endpoint

	// current is the endpoint that calls begin with: the last that answered
	// well.
	current atomic.Int64
}

// endpoint is one member.
type endpoint struct {
	base *url.URL
	text string
	pool *pool // of connections for everyday calls; nil: they are net/http's like the rest
}

// New returns a Client. It connects to nobody yet.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg}
	for _, text := range cfg.Endpoints {
		base, err := parseEndpoint(text)
		if err != nil {
			return nil, err
		}
		e := endpoint{base: base, text: base.String()}
		if cfg.HTTPClient == nil {
			e.pool = newPool(base)
		}
		c.endpoints = append(c.endpoints, e)
	}
	var h http.Client
	if cfg.HTTPClient != nil {
		h = *cfg.HTTPClient
	} else {
		h, c.own = *ownHTTPClient(), true
	}
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.http = &h
	return c, nil
}

// Endpoints returns the members' URLs, in the order they were given.
func (c *Client) Endpoints() []string {
	var all []string
	for _, e := range c.endpoints {
		all = append(all, e.text)
	}
	return all
}

// Close lets go of idle connections, if they are this Client's own. It ends no
// call and no watch: their contexts do. It may be called twice.
func (c *Client) Close() {
	if c.own {
		c.http.CloseIdleConnections()
	}
	for _, e := range c.endpoints {
		if e.pool != nil {
			e.pool.close()
		}
	}
}

// leave makes later calls begin with another endpoint than at, unless some
// other call has seen to that.
func (c *Client) leave(at int) {
	c.current.CompareAndSwap(int64(at), int64((at+1)%len(c.endpoints)))
}

// stay makes later calls begin with the endpoint at.
func (c *Client) stay(at int) {
	if c.current.Load() != int64(at) {
		c.current.Store(int64(at))
	}
}

// endpointIndex finds a member by its URL; false: it is none of this Client's.
func (c *Client) endpointIndex(text string) (int, bool) {
	base, err := parseEndpoint(text)
	if err != nil {
		return 0, false
	}
	i := slices.IndexFunc(c.endpoints, func(e endpoint) bool { return e.text == base.String() })
	return i, i >= 0
}
