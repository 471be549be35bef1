package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"kvd/internal/raftnode"
)

const serveLong = `Run one member of a cluster until SIGTERM or SIGINT.

Without --cluster and --join the member founds a cluster of its own. With
--cluster it founds one together with others, each started with the same list.
With --join it enters a cluster that runs: it adds itself through any member, as
a learner, and becomes a voter when it has caught up.

Every flag can be set by an environment variable instead, --data-dir by
KVD_DATA_DIR and so on; the flag wins.

Exit codes: 0 stopped cleanly, 1 error at run time, 2 bad flags, 3 data
directory unusable, 4 address in use, 5 removed from the cluster. After 2, 3 and
5 another start gives the same answer again.`

func newServeCommand() *cobra.Command {
	cfg := defaultConfig()
	cmd := &cobra.Command{
		Use:     "serve",
		Short:   "Run one member of a cluster",
		Long:    serveLong,
		Example: "  kvd serve\n  kvd serve --id 1 --data-dir ./data1 --cluster 1=http://10.0.0.1:12379,2=http://10.0.0.2:12379,3=http://10.0.0.3:12379 --insecure\n  kvd serve --data-dir ./data4 --join http://127.0.0.1:12380 --listen-client 127.0.0.1:42380 --listen-peer 127.0.0.1:42379",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := readConfig(cmd.Flags(), &cfg); err != nil {
				return err
			}
			return serve(cmd.Context(), &cfg, strayVariables(cmd.Flags()), cmd.ErrOrStderr())
		},
	}
	registerFlags(cmd.Flags(), &cfg)
	return cmd
}

// readConfig completes cfg, which the command line has been read into, from
// the environment, and checks it.
func readConfig(fs *pflag.FlagSet, cfg *config) error {
	fromEnv, err := applyEnvironment(fs)
	if err != nil {
		return err
	}
	cfg.fromEnv, cfg.given = fromEnv, map[string]bool{}
	fs.Visit(func(f *pflag.Flag) { cfg.given[f.Name] = true })
	return cfg.resolve()
}

// serve runs a member until ctx ends. The order of its steps is the order of
// what they cost when they fail: a bad flag touches nothing, an address in use
// no directory, and a directory of another member no peer.
func serve(ctx context.Context, cfg *config, stray []string, stderr io.Writer) error {
	paceGC()
	lg, flush := newLogger(stderr, cfg.level(), cfg.LogFormat)
	defer flush()
	for _, w := range cfg.warnings() {
		lg.Warn(w)
	}
	if len(stray) > 0 {
		lg.Warn("environment variables that stand for no flag are ignored", zap.Strings("variables", stray))
	}

	ls, err := listen(ctx, cfg)
	if err != nil {
		return err
	}
	defer ls.close()
	cfg.settle(ls.client.Addr(), ls.peer.Addr())

	disk, err := raftnode.OpenDisk(cfg.DataDir, lg.Named("disk"))
	if err != nil {
		return explain(cfg, err)
	}
	err = runMember(ctx, cfg, lg, ls, disk)
	if exitCode(err) == exitRemoved {
		err = errors.Join(err, disk.MarkRemoved()) // so that no supervisor starts it again for long
	}
	if err = errors.Join(err, disk.Close()); err == nil {
		lg.Info("stopped")
	}
	return err
}

// runMember opens and runs the member that the data directory belongs to, or
// is to belong to. A nil error is a clean stop.
func runMember(ctx context.Context, cfg *config, lg *zap.Logger, ls *listeners, disk *raftnode.Disk) error {
	tell := &foundingHandler{}
	room := openWaitingRoom(ctx, cfg, lg, ls, tell)
	from, err := findOrigin(ctx, cfg, lg, disk, tell)
	room.close()
	if err != nil {
		if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
			return nil // asked to stop before there was anything to stop
		}
		return err
	}
	m, err := newMember(cfg, lg, ls, disk, from)
	if err != nil {
		return exitWith(exitFatal, "wire member: %w", err)
	}
	if err := m.Node.Open(); err != nil {
		return explain(cfg, err)
	}
	return m.run(ctx, tell)
}

// findOrigin returns who the data directory says this member is, or who it is
// to be when nothing was ever stored there.
func findOrigin(ctx context.Context, cfg *config, lg *zap.Logger, disk *raftnode.Disk, tell *foundingHandler) (origin, error) {
	begin, err := loadFounding(disk)
	if err != nil {
		return origin{}, explain(cfg, err)
	}
	if owner, ok := disk.Identity(); ok {
		if !begin.of(owner.Cluster) {
			begin = nil // it joined, or was restored from a snapshot
		}
		return resumeOrigin(ctx, cfg, owner, begin, tell)
	}
	if cfg.Join != "" {
		p, err := join(ctx, cfg, lg.Named("join"))
		if err != nil {
			return origin{}, err
		}
		from := origin{
			Identity: raftnode.Identity{Cluster: p.cluster, Member: p.member, Name: cfg.memberName(p.member)},
			seeds:    p.seeds,
		}
		lg.Info("joining a running cluster", zap.String("cluster", formatClusterID(p.cluster)), zap.Uint64("member", p.member))
		tell.identify(from.Identity)
		return from, nil
	}
	begin, err = found(ctx, cfg, lg, disk, begin, tell)
	if err != nil {
		return origin{}, explain(cfg, err)
	}
	lg.Info("founding a cluster", zap.String("cluster", formatClusterID(begin.cluster())), zap.Uint64("member", cfg.ID), zap.Int("members", len(begin.Founders)))
	return origin{
		Identity: raftnode.Identity{Cluster: begin.cluster(), Member: cfg.ID, Name: cfg.memberName(cfg.ID)},
		founders: begin.nodeFounders(),
	}, nil
}

// resumeOrigin checks that the data directory is this member's. Founders and
// seeds are returned as for a new one: a member that died before its first log
// entry was durable has an identity and nothing else.
func resumeOrigin(ctx context.Context, cfg *config, owner raftnode.Identity, begin *founding, tell *foundingHandler) (origin, error) {
	from := origin{Identity: owner}
	if err := checkOwner(cfg, owner, begin); err != nil {
		return from, err
	}
	tell.identify(owner)
	if begin != nil {
		tell.tell(begin)
		from.founders = begin.nodeFounders()
	}
	if cfg.Join != "" {
		seeds, err := checkJoined(ctx, cfg, owner)
		from.seeds = seeds
		return from, err
	}
	return from, nil
}
