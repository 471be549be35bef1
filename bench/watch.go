package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	kvd "kvd/client"
	"kvd/internal/load"
	"kvd/internal/load/httpload"
)

// kindWatch is the delivery of events: one client writes one key, which all
// watchers watch, and writes again when all have been told. Its operations are
// deliveries, and their time counts from the beginning of the write.
const kindWatch = "watch"

// watches are deliveries to many watchers.
func watches() []scenario {
	w := func(watchers int) work {
		w := with(kindWatch, 1, atAll)
		w.Watchers = watchers
		return w
	}
	list := []string{wayKvdWire, wayKvdGo, wayEtcdGo}
	return []scenario{
		{w(1), list, false, nil},
		{w(10), list, false, nil},
		{w(100), list, false, nil},
		{w(1000), list, true, nil},
	}
}

// stream is one watch of one key. One goroutine uses it.
type stream interface {
	// next blocks until there are events, and returns how many.
	next() (int, error)
	Close() error
}

// watcher opens watches: the n-th, of so many, at one of endpoints. What several
// share is in the watcher.
type watcher interface {
	watch(ctx context.Context, n int, key string) (stream, error)
	Close() error
}

// newWatcher makes the watcher of a way.
func newWatcher(w way, endpoints []string, watches int) (watcher, error) {
	switch w.name {
	case wayKvdWire:
		return wireWatcher{endpoints}, nil
	case wayKvdGo:
		p, err := dialKvdGo(endpoints, watches, nil)
		if err != nil {
			return nil, err
		}
		return kvdGoWatcher{p.(*kvdGoPool)}, nil
	case wayEtcdGo, wayEtcdWeb:
		p, err := dialEtcdGo(endpoints, watches, nil)
		if err != nil {
			return nil, err
		}
		return etcdGoWatcher{p.(*etcdGoPool)}, nil
	}
	return nil, errCannot
}

// openWatches opens so many watches, and returns when all stand.
func openWatches(ctx context.Context, w watcher, watches int, key func(int) string) ([]stream, error) {
	list := make([]stream, watches)
	errs := make([]error, min(watches, 16))
	var wg sync.WaitGroup
	for o := range errs {
		wg.Go(func() {
			for i := o; i < watches && errs[o] == nil; i += len(errs) {
				list[i], errs[o] = w.watch(ctx, i, key(i))
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		closeAll(list)
		return nil, fmt.Errorf("open %d watches: %w", watches, err)
	}
	return list, nil
}

func closeAll(list []stream) {
	for _, s := range list {
		if s != nil {
			_ = s.Close()
		}
	}
}

// wireWatcher gives every watch a connection, as curl does.
type wireWatcher struct{ endpoints []string }

type wireStream struct {
	*httpload.Stream
	conn *httpload.Conn
}

func (w wireWatcher) Close() error { return nil }

func (w wireWatcher) watch(ctx context.Context, n int, key string) (stream, error) {
	host := w.endpoints[n%len(w.endpoints)]
	r, err := httpload.NewRequest("GET", host, "/v1/watch?key="+key, 0, nil)
	if err != nil {
		return nil, err
	}
	conn, err := httpload.Open(ctx, host)
	if err != nil {
		return nil, err
	}
	s, err := conn.Stream(r)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	// The first line says where the watch begins.
	if _, err := s.Next(); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return wireStream{s, conn}, nil
}

func (s wireStream) next() (int, error) {
	for {
		line, err := s.Next()
		if err != nil {
			return 0, err
		}
		if bytes.Contains(line, []byte(`"type":"put"`)) {
			return 1, nil
		}
	}
}

func (s wireStream) Close() error { return s.conn.Close() }

// kvdGoWatcher watches by kvd's Go client.
type kvdGoWatcher struct{ *kvdGoPool }

type kvdGoStream struct{ *kvd.Watcher }

func (w kvdGoWatcher) watch(ctx context.Context, n int, key string) (stream, error) {
	s, err := w.clients[n%len(w.clients)].Watch(ctx, &kvd.WatchOptions{Keys: []string{key}})
	if err != nil {
		return nil, err
	}
	return kvdGoStream{s}, nil
}

func (s kvdGoStream) next() (int, error) {
	_, err := s.Next()
	return 1, err
}

func (s kvdGoStream) Close() error {
	s.Watcher.Close()
	return nil
}

// etcdGoWatcher watches by etcd's Go client.
type etcdGoWatcher struct{ *etcdGoPool }

type etcdGoStream struct {
	c      clientv3.WatchChan
	cancel context.CancelFunc
}

func (w etcdGoWatcher) watch(ctx context.Context, n int, key string) (stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	s := etcdGoStream{w.clients[n%len(w.clients)].Watch(ctx, key, clientv3.WithCreatedNotify()), cancel}
	res, ok := <-s.c
	if !ok || !res.Created {
		cancel()
		return nil, errors.Join(errors.New("the watch was not made"), res.Err())
	}
	return s, nil
}

func (s etcdGoStream) next() (int, error) {
	for {
		res, ok := <-s.c
		if !ok || res.Err() != nil {
			return 0, errors.Join(errors.New("the watch has ended"), res.Err())
		}
		if len(res.Events) > 0 {
			return len(res.Events), nil
		}
	}
}

func (s etcdGoStream) Close() error {
	s.cancel()
	return nil
}

// fanout is a key with its writer and its watchers.
type fanout struct {
	session
	key     []byte
	streams []stream

	began    atomic.Int64 // when the write began, as time since epoch
	epoch    time.Time
	counting atomic.Bool
	left     atomic.Int64  // watchers that have not been told
	told     chan struct{} // all have
	failed   chan error
	latency  []load.Latency // by watcher
}

// Do writes and blocks until all watchers have been told.
func (f *fanout) Do(ctx context.Context) (int, error) {
	f.left.Store(int64(len(f.streams)))
	f.began.Store(int64(time.Since(f.epoch)))
	if err := f.put(ctx, f.key); err != nil {
		return classWrite, err
	}
	select {
	case <-f.told:
		return classWrite, nil
	case err := <-f.failed:
		return classWrite, err
	case <-ctx.Done():
		return classWrite, ctx.Err()
	}
}

// follow takes the events of a watcher until its stream ends.
func (f *fanout) follow(i int) {
	for {
		n, err := f.streams[i].next()
		if err != nil {
			select {
			case f.failed <- err:
			default:
			}
			return
		}
		if f.counting.Load() {
			f.latency[i].Record(time.Since(f.epoch) - time.Duration(f.began.Load()))
		}
		if f.left.Add(int64(-n)) == 0 {
			f.told <- struct{}{}
		}
	}
}

// measureWatch measures deliveries.
func (r *runner) measureWatch(ctx context.Context, sys system, w way, wk work, round int) (*sample, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watching, err := newWatcher(w, sys.endpoints(), wk.Watchers)
	if err != nil {
		return nil, err
	}
	defer watching.Close()
	p, err := w.dial(sys.endpoints()[sys.leader():sys.leader()+1], 1, value(wk.ValueBytes))
	if err != nil {
		return nil, err
	}
	defer p.Close()
	f := &fanout{
		key: appendKey(nil, 0), epoch: time.Now(), told: make(chan struct{}, 1), failed: make(chan error, 1),
		latency: make([]load.Latency, wk.Watchers),
	}
	r.line.say("%s, %s, round %d: open the watches", wk.name(), w.name, round+1)
	if f.streams, err = openWatches(ctx, watching, wk.Watchers, func(int) string { return string(f.key) }); err != nil {
		return nil, err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	defer closeAll(f.streams)
	for i := range f.streams {
		wg.Go(func() { f.follow(i) })
	}
	m := newMeter(sys)
	res, err := load.Run(ctx, load.Config{
		Workers: 1, Classes: classNames(), WarmUp: r.opts.WarmUp, Duration: r.opts.Duration,
		Began: func() { f.counting.Store(true); m.begin() },
		Ended: func() { f.counting.Store(false); m.end() },
		Progress: func(p load.Progress) {
			r.line.say("%s, %s, round %d: %.0f writes/s", wk.name(), w.name, round+1, p.PerSecond())
		},
	}, func(ctx context.Context, n int) (load.Worker, error) {
		f.session, err = p.session(ctx, n)
		return f, err
	})
	if err := errors.Join(err, m.err); err != nil {
		return nil, err
	}
	if res.Failed > 0 || res.Operations() == 0 {
		return nil, fmt.Errorf("%d writes were delivered; %s", res.Operations(), res.Complaint())
	}
	closeAll(f.streams)
	cancel()
	wg.Wait()
	deliveries := load.Result{Elapsed: res.Elapsed, Classes: res.Classes}
	for i := range f.latency {
		deliveries.Latency.Merge(&f.latency[i])
	}
	return newSample(&deliveries, m), nil
}
