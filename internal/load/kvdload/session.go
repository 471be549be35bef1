// Package kvdload is kvd's API as a load: the requests that curl would send,
// over httpload. It knows the paths and the statuses, and nothing of who answers.
package kvdload

import (
	"context"
	"fmt"

	"kvd/internal/load/httpload"
)

// Config is what all requests of a session have in common.
type Config struct {
	KeyBytes int    // length of every key; keys hold letters, digits and "/-_." only
	Value    []byte // of every write; text that stands for itself in JSON
	Page     int    // keys of a listing
}

// Session is one client on one connection. One goroutine uses it. A status that
// a successful request does not have is a *httpload.StatusError.
type Session struct {
	conn *httpload.Conn

	put, get, stale, txn, list *httpload.Request
}

// Open connects to a member, by host and port. The end of ctx ends whatever the
// session waits for, then and later.
func Open(ctx context.Context, addr string, c Config) (*Session, error) {
	s := &Session{}
	k := httpload.Placeholder(c.KeyBytes)
	for _, r := range []struct {
		to           **httpload.Request
		method, path string
		body         []byte
		header       []string
	}{
		{&s.put, "PUT", "/v1/kv/" + k, c.Value, nil},
		{&s.get, "GET", "/v1/kv/" + k, nil, nil},
		{&s.stale, "GET", "/v1/kv/" + k + "?consistency=stale", nil, nil},
		{&s.list, "GET", fmt.Sprintf("/v1/kv?start=%s&limit=%d", k, c.Page), nil, nil},
		{&s.txn, "POST", "/v1/txn", fmt.Appendf(nil, `{"if":[{"key":"%[1]s","exists":true}],`+
			`"then":[{"put":{"key":"%[1]s","value":"%[2]s"}},{"get":{"key":"%[1]s"}}],"else":[{"get":{"key":"%[1]s"}}]}`, k, c.Value),
			[]string{"Content-Type: application/json"}},
	} {
		var err error
		if *r.to, err = httpload.NewRequest(r.method, addr, r.path, c.KeyBytes, r.body, r.header...); err != nil {
			return nil, err
		}
	}
	var err error
	if s.conn, err = httpload.Open(ctx, addr); err != nil {
		return nil, err
	}
	return s, nil
}

// Put writes a key.
func (s *Session) Put(key []byte) error { return s.do(s.put, key, 204, 201) }

// PutTo writes a key to a server that answers with this status.
func (s *Session) PutTo(key []byte, want int) error { return s.do(s.put, key, want) }

// Get reads a key that exists: linearizable, or what the member has.
func (s *Session) Get(key []byte, stale bool) error {
	if stale {
		return s.do(s.stale, key, 200)
	}
	return s.do(s.get, key, 200)
}

// Txn replaces a key if it exists, and reads it, in one transaction.
func (s *Session) Txn(key []byte) error { return s.do(s.txn, key, 200) }

// List reads a page of keys with their values, from key on.
func (s *Session) List(key []byte) error { return s.do(s.list, key, 200) }

func (s *Session) do(r *httpload.Request, key []byte, want ...int) error {
	r.SetKey(key)
	_, err := s.conn.Do(r, want...)
	return err
}

// Close ends the connection.
func (s *Session) Close() error { return s.conn.Close() }
