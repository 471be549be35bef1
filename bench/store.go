package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	kvd "kvd/client"
)

// store is a system with a state that can be looked at from beside its work.
type store interface {
	system

	// read does one linearizable read through a member, on a new connection,
	// and is not slow to fail when the member is not there.
	read(ctx context.Context, member int) error

	// applied is the index up to which a member has applied the log.
	applied(ctx context.Context, member int) (uint64, error)

	// snapshot makes the first member write a snapshot in the way it has for that.
	snapshot(ctx context.Context, path string) error

	// backup brings a snapshot of the first member into a file of its own.
	backup(ctx context.Context, path string) error
}

func (s *kvdSystem) client(member int) (*kvd.Client, error) {
	return kvd.New(kvd.Config{Endpoints: []string{s.members[member].ClientURL}})
}

func (s *kvdSystem) read(ctx context.Context, member int) error {
	// Not by package client, which waits a second before it tries a member again that
	// is just starting.
	err := get(ctx, s.members[member].ClientURL+"/v1/kv/"+key(0))
	if err != nil && !s.members[member].Running() {
		return fmt.Errorf("%s has ended: %w\n%s", s.members[member].Name(), err, s.members[member].Tail(12))
	}
	return err
}

func get(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return nil
}

func (s *kvdSystem) applied(ctx context.Context, member int) (uint64, error) {
	c, err := s.client(member)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	st, err := c.Status(ctx, s.members[member].ClientURL)
	if err != nil {
		return 0, err
	}
	return st.Applied, nil
}

// snapshot is one that stays with the member: path is not used.
func (s *kvdSystem) snapshot(ctx context.Context, _ string) error {
	c, err := s.client(0)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.TakeSnapshot(ctx, s.members[0].ClientURL)
	return err
}

func (s *kvdSystem) backup(ctx context.Context, path string) error {
	if err := s.snapshot(ctx, ""); err != nil {
		return err
	}
	c, err := s.client(0)
	if err != nil {
		return err
	}
	defer c.Close()
	snap, err := c.LatestSnapshot(ctx, s.members[0].ClientURL)
	if err != nil {
		return err
	}
	return errors.Join(saveSynced(path, snap), snap.Close())
}

func (s *etcdSystem) read(ctx context.Context, member int) error {
	return s.with(ctx, member, func(c *clientv3.Client) error {
		_, err := c.Get(ctx, key(0))
		return err
	})
}

func (s *etcdSystem) applied(ctx context.Context, member int) (index uint64, err error) {
	err = s.with(ctx, member, func(c *clientv3.Client) error {
		st, err := c.Status(ctx, s.configs[member].Client)
		if err == nil {
			index = st.RaftAppliedIndex
		}
		return err
	})
	return index, err
}

// with gives f a client of one member. A member that does not listen is told at
// once: the library would wait a second before it tries again.
func (s *etcdSystem) with(ctx context.Context, member int, f func(c *clientv3.Client) error) error {
	addr := s.configs[member].Client
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	_ = conn.Close()
	c, err := dialEtcd(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	return f(c)
}

// snapshot is what etcd has for that: a copy of its database, sent to the client.
func (s *etcdSystem) snapshot(ctx context.Context, path string) error { return s.backup(ctx, path) }

func (s *etcdSystem) backup(ctx context.Context, path string) error {
	return s.with(ctx, 0, func(c *clientv3.Client) error {
		body, err := c.Snapshot(ctx)
		if err != nil {
			return err
		}
		return errors.Join(saveSynced(path, body), body.Close())
	})
}

// saveSynced writes a file and waits until it is on the disk.
func saveSynced(path string, from io.Reader) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Sync(), f.Close())
}
