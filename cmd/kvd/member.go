package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"

	"go.uber.org/zap"

	"kvd/internal/httpapi"
	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
	"kvd/internal/replica"
	"kvd/internal/transport"
)

// raftPart is the part whose errors mean that the disk cannot be trusted.
const raftPart = "raft"

// member is one member of a cluster with everything it runs.
type member struct {
	cfg   *config
	who   raftnode.Identity
	lg    *zap.Logger
	ls    *listeners
	trans *transport.Transport
	*replica.Replica
}

// origin says who a member is and, for one that has not run yet, how it came
// into its cluster: as a founder or from seeds.
type origin struct {
	raftnode.Identity
	founders []raftnode.Founder
	seeds    map[uint64]string
}

// newMember wires the parts together. It starts nothing.
func newMember(cfg *config, lg *zap.Logger, ls *listeners, disk *raftnode.Disk, from origin) (*member, error) {
	errorLog, _ := zap.NewStdLogAt(lg.Named("api"), zap.ErrorLevel) // zap knows the level
	rep, err := replica.New(replica.Config{
		Node: raftnode.Config{
			Identity:        from.Identity,
			PeerURL:         cfg.AdvertisePeer,
			ClientURL:       cfg.AdvertiseClient,
			Founders:        from.founders,
			Seeds:           from.seeds,
			Tick:            cfg.Tick,
			ElectionTicks:   int(cfg.ElectionTicks),
			HeartbeatTicks:  heartbeatTicks,
			SnapshotEntries: cfg.SnapshotEntries,
			SnapshotBytes:   cfg.SnapshotBytes,

			VerifyEvery:        cfg.VerifyInterval,
			ReadOnlyLeaseBased: cfg.ReadOnlyOption == readLeaseBased,
		},
		Storage: disk,
		API: httpapi.Config{
			Hosts:         hosts(cfg),
			MaxValueBytes: int64(cfg.MaxValueBytes),
			Compat:        cfg.Compat == "raftexample",
			Version:       readBuildInfo().Version,
			ErrorLog:      errorLog,
		},
		History:     kvstore.Retention{Revisions: cfg.HistoryRevisions, Age: cfg.HistoryAge, Bytes: cfg.HistoryBytes},
		QuotaBytes:  cfg.QuotaBytes,
		DataDir:     cfg.DataDir,
		DiskReserve: cfg.DiskReserveBytes,
		FreeBytes:   freeBytes,
		Logger:      lg,
	})
	if err != nil {
		return nil, err
	}
	trans, err := transport.New(transport.Config{
		ID: from.Member, ClusterID: from.Cluster, PeerURL: cfg.AdvertisePeer, Logger: lg,
		SnapshotSendBytesPerSecond: int64(cfg.SnapshotSendRate),
	})
	if err != nil {
		return nil, err
	}
	return &member{cfg: cfg, who: from.Identity, lg: lg, ls: ls, trans: trans, Replica: rep}, nil
}

// hosts are the names by which clients may call this member.
func hosts(cfg *config) []string {
	names := append([]string{}, cfg.AllowedHosts...)
	if u, err := url.Parse(cfg.AdvertiseClient); err == nil {
		names = append(names, u.Hostname())
	}
	if host, _, err := net.SplitHostPort(cfg.ListenClient); err == nil && host != "" {
		names = append(names, host)
	}
	return names
}

// run runs the member until ctx ends, which is a clean stop, or a part of it
// fails. The node must be open.
func (m *member) run(ctx context.Context, founding http.Handler) error {
	s := newStack(7)
	m.Space.Look() // before the first write can come
	s.start(ctx, "peer server", func(ctx context.Context) error {
		// Messages that are lost are sent again, so peers need no patience.
		mux := http.NewServeMux()
		mux.Handle("GET "+foundingPath, founding)
		mux.Handle("/", m.trans.Handler())
		return serveUntil(ctx, newPeerServer(mux, debugLog(m.lg, "peer")), m.ls.peer, 0)
	})
	s.start(ctx, "transport", func(ctx context.Context) error { return m.trans.Run(ctx, m.Node) })
	s.start(ctx, raftPart, func(ctx context.Context) error { return m.Node.Run(ctx, m.trans) })
	s.start(ctx, "disk space", m.Space.Run)
	s.start(ctx, "retention", m.Retention.Run)
	s.start(ctx, "expiry", m.Expiry.Run)
	s.start(ctx, "client server", func(ctx context.Context) error {
		srv := httpapi.NewServer(m.API, httpapi.ServerConfig{ErrorLog: debugLog(m.lg, "client")})
		return serveUntil(ctx, srv, m.ls.client, drainTimeout)
	})
	m.lg.Info("serving", zap.Uint64("member", m.who.Member), zap.String("cluster", formatClusterID(m.who.Cluster)),
		zap.String("client", m.cfg.AdvertiseClient), zap.String("peer", m.cfg.AdvertisePeer),
		zap.String("listen_client", m.ls.client.Addr().String()), zap.String("listen_peer", m.ls.peer.Addr().String()))

	var failed *part
	select {
	case failed = <-s.failed:
	case <-ctx.Done():
		m.lg.Info("stopping", zap.NamedError("cause", context.Cause(ctx)))
		m.API.Drain()
		failed = s.wait(func() {
			patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*m.cfg.electionTimeout())
			defer cancel()
			m.HandOver(patience)
		})
	}
	if failed == nil {
		return m.explain(s.stop(context.Cause(ctx)))
	}
	if failed.name == raftPart && !errors.Is(failed.err, raftnode.ErrRemoved) {
		// What the disk holds is not known any more: nothing is drained, and
		// nothing acknowledged that was not before.
		s.abandon(failed.err)
		m.ls.close()
		return m.explain(failed.err)
	}
	m.API.Drain()
	_ = s.stop(failed.err) // what fails as a consequence explains nothing
	return m.explain(failed.err)
}

// explain gives the error that ended a member that ran its exit code.
func (m *member) explain(err error) error {
	if errors.Is(err, raftnode.ErrRemoved) {
		return exitWith(exitRemoved, "member %d (%s) was removed from cluster %s; its data directory is of no further use; %s",
			m.who.Member, m.who.Name, formatClusterID(m.who.Cluster), comeBack)
	}
	return explain(m.cfg, err)
}

// comeBack is the way out for a removed member.
const comeBack = "to bring the machine back, start it on an empty --data-dir with --join and without --id"

// explain gives an error of raftnode its exit code and its last words.
func explain(cfg *config, err error) error {
	if _, told := errors.AsType[*exitError](err); told {
		return err
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raftnode.ErrRemoved):
		return exitWith(exitRemoved, "%s: %w; %s", cfg.DataDir, err, comeBack) // it says that the directory is of no use
	case errors.Is(err, raftnode.ErrNewerVersion), errors.Is(err, kvstore.ErrNewerVersion):
		return exitWith(exitDataDir, "%s: %w; install the version that the other members run", cfg.DataDir, err)
	case errors.Is(err, raftnode.ErrDataDir):
		if u, ok := errors.AsType[*raftnode.Unusable](err); ok {
			return exitWith(exitDataDir, "%w; %s", err, remedy(u, sameServe(cfg)))
		}
		return exitWith(exitDataDir, "%w", err) // it names the path
	default:
		return exitWith(exitFatal, "stopped by an error, nothing more was acknowledged: %w", err)
	}
}
