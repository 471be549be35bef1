package main

import (
	"context"
	"encoding/base64"
	"fmt"

	"kvd/internal/load/httpload"
	"kvd/internal/load/kvdload"
)

// kvdWire drives kvd with the requests that curl would send.
type kvdWire struct{ *kvdload.Session }

func dialKvdWire(endpoints []string, _ int, value []byte) (pool, error) {
	return wirePool{endpoints, func(ctx context.Context, host string) (session, error) {
		s, err := kvdload.Open(ctx, host, kvdload.Config{KeyBytes: keyBytes, Value: value, Page: pageSize})
		return kvdWire{s}, err
	}}, nil
}

func (s kvdWire) put(_ context.Context, key []byte) error             { return s.Put(key) }
func (s kvdWire) get(_ context.Context, key []byte, stale bool) error { return s.Get(key, stale) }
func (s kvdWire) txn(_ context.Context, key []byte) error             { return s.Txn(key) }
func (s kvdWire) list(_ context.Context, key []byte) error            { return s.List(key) }

// bareWire sends the bare handler what kvd is sent.
type bareWire struct{ kvdWire }

func dialBare(endpoints []string, workers int, value []byte) (pool, error) {
	p, err := dialKvdWire(endpoints, workers, value)
	if err != nil {
		return nil, err
	}
	return wirePool{endpoints, func(ctx context.Context, host string) (session, error) {
		s, err := p.(wirePool).open(ctx, host)
		if err != nil {
			return nil, err
		}
		return bareWire{s.(kvdWire)}, nil
	}}, nil
}

func (s bareWire) put(_ context.Context, key []byte) error { return s.PutTo(key, 200) }
func (s bareWire) txn(context.Context, []byte) error       { return errCannot }
func (s bareWire) list(context.Context, []byte) error      { return errCannot }

// etcdGateway drives etcd by the JSON gateway, which is what curl can use.
type etcdGateway struct {
	conn               *httpload.Conn
	write, read, stale *httpload.Request
	transaction        *httpload.Request
	listing            *httpload.Request
	key                [keyBase64]byte
}

func dialEtcdGateway(endpoints []string, _ int, value []byte) (pool, error) {
	return wirePool{endpoints, func(ctx context.Context, host string) (session, error) {
		return openEtcdGateway(ctx, host, value)
	}}, nil
}

func openEtcdGateway(ctx context.Context, host string, value []byte) (session, error) {
	s := &etcdGateway{}
	k, v := httpload.Placeholder(keyBase64), base64.StdEncoding.EncodeToString(value)
	for _, r := range []struct {
		to         **httpload.Request
		path, body string
	}{
		{&s.write, "/v3/kv/put", fmt.Sprintf(`{"key":"%s","value":"%s"}`, k, v)},
		{&s.read, "/v3/kv/range", fmt.Sprintf(`{"key":"%s"}`, k)},
		{&s.stale, "/v3/kv/range", fmt.Sprintf(`{"key":"%s","serializable":true}`, k)},
		{&s.transaction, "/v3/kv/txn", fmt.Sprintf(`{"compare":[{"key":"%[1]s","target":"CREATE","result":"GREATER","create_revision":"0"}],`+
			`"success":[{"request_put":{"key":"%[1]s","value":"%[2]s"}},{"request_range":{"key":"%[1]s"}}],"failure":[{"request_range":{"key":"%[1]s"}}]}`, k, v)},
		{&s.listing, "/v3/kv/range", fmt.Sprintf(`{"key":"%s","range_end":"AA==","limit":%d}`, k, pageSize)},
	} {
		var err error
		if *r.to, err = httpload.NewRequest("POST", host, r.path, keyBase64, []byte(r.body), "Content-Type: application/json"); err != nil {
			return nil, err
		}
	}
	var err error
	s.conn, err = httpload.Open(ctx, host)
	return s, err
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

// wirePool gives every worker a connection of its own.
type wirePool struct {
	endpoints []string
	open      func(ctx context.Context, host string) (session, error)
}

func (p wirePool) session(ctx context.Context, worker int) (session, error) {
	return p.open(ctx, p.endpoints[worker%len(p.endpoints)])
}

func (wirePool) Close() error { return nil }
