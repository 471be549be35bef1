package replica

import (
	"cmp"
	"context"
	"time"

	"go.uber.org/zap"

	"kvd/internal/httpapi"
	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
)

// Config is what a Replica is made from.
type Config struct {
	// Node says who the member is and how it does raft. Its Logger and SnapshotRoom
	// are set here.
	Node    raftnode.Config
	Storage raftnode.Storage
	// StateMachine is what the node applies to, where that is not the machine
	// itself: a test looks on. nil: the machine.
	StateMachine func(*kvstore.Machine) raftnode.StateMachine[kvstore.Result]

	// API's interfaces are set here; the rest is as given.
	API httpapi.Config

	History    kvstore.Retention // how much is kept; its zero fields: no bound
	QuotaBytes uint64            // what the store may use; 0: no limit

	DataDir     string                           // what FreeBytes is asked about
	DiskReserve uint64                           // bytes; 0: nobody is stopped
	FreeBytes   func(dir string) (uint64, error) // required

	Logger *zap.Logger // none: silent
}

// Replica is one member's parts, put together. Node is to be opened; then it, Space,
// Retention and Expiry run beside each other, each until its context ends. Space has
// looked once before the first write may come.
type Replica struct {
	Node      *raftnode.Node[kvstore.Result]
	Machine   *kvstore.Machine
	DB        *kvstore.DB
	API       *httpapi.Handler
	Space     *DiskSpace
	Retention *Retention
	Expiry    *Expiry

	lg *zap.Logger
}

// New puts the parts of a member together. It starts nothing and touches no disk.
func New(cfg Config) (*Replica, error) {
	lg := cmp.Or(cfg.Logger, zap.NewNop())
	machine := kvstore.NewMachine()
	space := newDiskSpace(cfg.DataDir, cfg.DiskReserve, cfg.FreeBytes, lg.Named("disk"))
	cfg.Node.Logger, cfg.Node.SnapshotRoom = lg.Named("raft"), space.snapshotRoom
	var sm raftnode.StateMachine[kvstore.Result] = machine
	if cfg.StateMachine != nil {
		sm = cfg.StateMachine(machine)
	}
	node, err := raftnode.New(cfg.Node, sm, cfg.Storage)
	if err != nil {
		return nil, err
	}
	db := kvstore.NewDB(machine, raftLog{node})
	db.QuotaBytes = cfg.QuotaBytes
	space.node, db.NoSpace = node, space.noSpace
	view := clusterView{
		node: node, space: space, who: cfg.Node.Identity, electionTimeout: node.ElectionTimeout(), born: time.Now(),
	}
	cfg.API.Store, cfg.API.Stats = db, machine
	cfg.API.Cluster, cfg.API.Membership, cfg.API.Leadership = view, view, view
	cfg.API.Snapshots, cfg.API.Verifier, cfg.API.Guard = view, view, view
	api, err := httpapi.New(cfg.API)
	if err != nil {
		return nil, err
	}
	return &Replica{
		lg:   lg,
		Node: node, Machine: machine, DB: db, API: api, Space: space,
		Retention: &Retention{
			machine: machine, db: db, leads: node.Leads, every: retentionPeriod, lg: lg.Named("history"),
			keep: cfg.History, quota: cfg.QuotaBytes,
		},
		Expiry: &Expiry{machine: machine, db: db, leads: node.Leads, clock: node.Clock, every: expiryPeriod, lg: lg.Named("expiry")},
	}, nil
}

// HandOver gives leadership, where this member has it, to another, so that the
// cluster need not miss its leader for an election timeout. It blocks until
// another leads, or ctx ends.
func (r *Replica) HandOver(ctx context.Context) {
	if !r.Node.Leads() || len(r.Node.Members()) == 1 {
		return // there is nothing to hand over, or nobody to miss it
	}
	if err := r.Node.TransferLeadership(ctx, 0); err != nil {
		r.lg.Info("no other member took over", zap.Error(err))
	}
}
