package main

import (
	"context"
	"encoding/base64"
	"fmt"

	"kvd/internal/load/httpload"
)

// kvdWire drives kvd with the requests that curl would send.
type kvdWire struct {
	conn                 *httpload.Conn
	write, read, stale   *httpload.Request
	transaction, listing *httpload.Request
}

func dialKvdWire(endpoints []string, _ int, value []byte) (pool, error) {
	return wirePool{endpoints, func(host string, conn *httpload.Conn) (session, error) {
		return newKvdWire(host, conn, value)
	}}, nil
}

func newKvdWire(host string, conn *httpload.Conn, value []byte) (session, error) {
	k := httpload.Placeholder(keyBytes)
	m := requestMaker{host: host, size: keyBytes}
	s := &kvdWire{
		conn:  conn,
		write: m.make("PUT", "/v1/kv/"+k, value),
		read:  m.make("GET", "/v1/kv/"+k, nil),
		stale: m.make("GET", "/v1/kv/"+k+"?consistency=stale", nil),
		transaction: m.make("POST", "/v1/txn",
			fmt.Appendf(nil, `{"if":[{"key":"%[1]s","exists":true}],"then":[{"put":{"key":"%[1]s","value":"%[2]s"}},{"get":{"key":"%[1]s"}}],"else":[{"get":{"key":"%[1]s"}}]}`, k, value),
			"Content-Type: application/json"),
		listing: m.make("GET", fmt.Sprintf("/v1/kv?start=%s&limit=%d", k, pageSize), nil),
	}
	return s, m.err
}

func (s *kvdWire) put(_ context.Context, key []byte) error {
	s.write.SetKey(key)
	_, err := s.conn.Do(s.write, 204, 201)
	return err
}

func (s *kvdWire) get(_ context.Context, key []byte, stale bool) error {
	r := s.read
	if stale {
		r = s.stale
	}
	r.SetKey(key)
	_, err := s.conn.Do(r, 200)
	return err
}

func (s *kvdWire) txn(_ context.Context, key []byte) error {
	s.transaction.SetKey(key)
	_, err := s.conn.Do(s.transaction, 200)
	return err
}

func (s *kvdWire) list(_ context.Context, key []byte) error {
	s.listing.SetKey(key)
	_, err := s.conn.Do(s.listing, 200)
	return err
}

func (s *kvdWire) Close() error { return s.conn.Close() }

// etcdGateway drives etcd by the JSON gateway, which is what curl can use.
type etcdGateway struct {
	conn               *httpload.Conn
	write, read, stale *httpload.Request
	transaction        *httpload.Request
	listing            *httpload.Request
	key                [keyBase64]byte
}

func dialEtcdGateway(endpoints []string, _ int, value []byte) (pool, error) {
	return wirePool{endpoints, func(host string, conn *httpload.Conn) (session, error) {
		return newEtcdGateway(host, conn, value)
	}}, nil
}

func newEtcdGateway(host string, conn *httpload.Conn, value []byte) (session, error) {
	k := httpload.Placeholder(keyBase64)
	v := base64.StdEncoding.EncodeToString(value)
	m := requestMaker{host: host, size: keyBase64}
	post := func(path, format string, args ...any) *httpload.Request {
		return m.make("POST", path, fmt.Appendf(nil, format, args...), "Content-Type: application/json")
	}
	s := &etcdGateway{
		conn:  conn,
		write: post("/v3/kv/put", `{"key":"%s","value":"%s"}`, k, v),
		read:  post("/v3/kv/range", `{"key":"%s"}`, k),
		stale: post("/v3/kv/range", `{"key":"%s","serializable":true}`, k),
		transaction: post("/v3/kv/txn", `{"compare":[{"key":"%[1]s","target":"CREATE","result":"GREATER","create_revision":"0"}],`+
			`"success":[{"request_put":{"key":"%[1]s","value":"%[2]s"}},{"request_range":{"key":"%[1]s"}}],"failure":[{"request_range":{"key":"%[1]s"}}]}`, k, v),
		listing: post("/v3/kv/range", `{"key":"%s","range_end":"AA==","limit":%d}`, k, pageSize),
	}
	return s, m.err
}

func (s *etcdGateway) do(r *httpload.Request, key []byte) error {
	base64.StdEncoding.Encode(s.key[:], key)
	r.SetKey(s.key[:])
	_, err := s.conn.Do(r, 200)
	return err
}

func (s *etcdGateway) put(_ context.Context, key []byte) error { return s.do(s.write, key) }
func (s *etcdGateway) get(_ context.Context, key []byte, stale bool) error {
	if stale {
		return s.do(s.stale, key)
	}
	return s.do(s.read, key)
}
func (s *etcdGateway) txn(_ context.Context, key []byte) error  { return s.do(s.transaction, key) }
func (s *etcdGateway) list(_ context.Context, key []byte) error { return s.do(s.listing, key) }
func (s *etcdGateway) Close() error                             { return s.conn.Close() }

// bareWire sends the bare handler what kvd is sent.
type bareWire struct{ *kvdWire }

func dialBare(endpoints []string, _ int, value []byte) (pool, error) {
	return wirePool{endpoints, func(host string, conn *httpload.Conn) (session, error) {
		s, err := newKvdWire(host, conn, value)
		if err != nil {
			return nil, err
		}
		return bareWire{s.(*kvdWire)}, nil
	}}, nil
}

func (s bareWire) put(_ context.Context, key []byte) error {
	s.write.SetKey(key)
	_, err := s.conn.Do(s.write, 200)
	return err
}

func (s bareWire) txn(context.Context, []byte) error  { return errCannot }
func (s bareWire) list(context.Context, []byte) error { return errCannot }

// wirePool gives every worker a connection of its own.
type wirePool struct {
	endpoints []string
	open      func(host string, conn *httpload.Conn) (session, error)
}

func (p wirePool) session(ctx context.Context, worker int) (session, error) {
	host := p.endpoints[worker%len(p.endpoints)]
	conn, err := httpload.Open(ctx, host)
	if err != nil {
		return nil, err
	}
	s, err := p.open(host, conn)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return s, nil
}

func (wirePool) Close() error { return nil }

// requestMaker makes requests with keys of one size, and keeps the first error.
type requestMaker struct {
	host string
	size int
	err  error
}

func (m *requestMaker) make(method, path string, body []byte, headers ...string) *httpload.Request {
	r, err := httpload.NewRequest(method, m.host, path, m.size, body, headers...)
	if err != nil && m.err == nil {
		m.err = err
	}
	return r
}
