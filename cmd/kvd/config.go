package main

import (
	"fmt"
	"net"
	"strings"
	"time"
)

const (
	defaultListenClient = "127.0.0.1:12380"
	defaultListenPeer   = "127.0.0.1:12379"

	heartbeatTicks   = 1        // fixed: a heartbeat each tick
	maxMaxValueBytes = 16 << 20 // a value is part of one raft entry, which is one message and one WAL record
	minQuotaBytes    = 1 << 20
	maxFounders      = 9 // each further voter makes every write wait for more disks

)

// Values of --read-only-option.
const (
	readSafe       = "safe"
	readLeaseBased = "lease-based"
)

// config is what "kvd serve" was asked to do. The zero value is not usable:
// see defaultConfig.
type config struct {
	ID               uint64        // member id; never 0, default 1
	Name             string        // for humans; "n<id>" when empty
	DataDir          string        // made when missing
	Cluster          string        // founding members as given; empty founds a cluster of one (or joins)
	Join             string        // client URL of a running cluster's member; empty founds
	ListenClient     string        // host:port of the API
	AdvertiseClient  string        // URL of the API for others; empty: http://<ListenClient>
	ListenPeer       string        // host:port for other members; empty: as in Cluster, or the default
	AdvertisePeer    string        // URL for other members; empty: as in Cluster, or http://<ListenPeer>
	Tick             time.Duration // raft's unit of time
	ElectionTicks    uint64        // ticks without a leader before an election
	SnapshotEntries  uint64        // entries after which a snapshot is taken
	SnapshotBytes    uint64        // bytes of entries after which a snapshot is taken
	SnapshotSendRate uint64        // bytes a second of a snapshot on its way to a member; 0: no limit
	ReadOnlyOption   string        // readSafe or readLeaseBased
	VerifyInterval   time.Duration // between two comparisons of all members' states
	MaxValueBytes    uint64        // largest value accepted
	HistoryRevisions uint64        // revisions back to which a read may go
	HistoryAge       time.Duration // and time, by the log's clock
	HistoryBytes     uint64        // bytes of history; the oldest goes first
	QuotaBytes       uint64        // what keys, values and history may take; 0: no limit
	DiskReserveBytes uint64        // free space of DataDir below which writes are refused; 0: no limit
	LogLevel         string        // debug, info, warn, error
	LogFormat        string        // console or json
	Compat           string        // "" or "raftexample"
	Insecure         bool          // routable addresses without TLS are accepted
	AllowedHosts     []string      // further names clients may use

	// Set by resolve.
	given    map[string]bool // flags set by command line or environment
	fromEnv  map[string]bool // those of them that the environment set
	founders []founder       // Cluster, parsed, by id; nil without --cluster
}

// defaultConfig is a cluster of one on the loopback interface.
func defaultConfig() config {
	return config{
		ID:               1,
		DataDir:          "./data",
		ListenClient:     defaultListenClient,
		Tick:             100 * time.Millisecond,
		ElectionTicks:    10,
		SnapshotEntries:  100_000,
		SnapshotBytes:    64 << 20,
		ReadOnlyOption:   readSafe,
		VerifyInterval:   30 * time.Second,
		MaxValueBytes:    1 << 20,
		HistoryRevisions: 100_000,
		HistoryAge:       time.Hour,
		HistoryBytes:     64 << 20,
		QuotaBytes:       4 << 30,
		DiskReserveBytes: 256 << 20,
		LogLevel:         "info",
		LogFormat:        "console",
	}
}

// electionTimeout is the shortest time after which a silent leader is replaced.
func (c *config) electionTimeout() time.Duration {
	return c.Tick * time.Duration(c.ElectionTicks)
}

// claimsID tells whether the id was asked for: by --id, or as a place in
// --cluster, which takes the default id when --id is missing.
func (c *config) claimsID() bool { return c.given["id"] || c.Cluster != "" }

// flag names a flag as the user gave it.
func (c *config) flag(name string) string {
	if c.fromEnv[name] {
		return fmt.Sprintf("%s (--%s)", envName(name), name)
	}
	return "--" + name
}

// resolve fills in what follows from other settings and then validates. The
// advertised URLs may stay empty until the listeners are bound: see settle.
func (c *config) resolve() error {
	var clusterErr error
	if c.Cluster != "" {
		c.founders, clusterErr = parseCluster(c.Cluster)
	}
	if own, ok := findFounder(c.founders, c.ID); ok {
		hostPort := strings.TrimPrefix(own.PeerURL, "http://")
		if c.ListenPeer == "" {
			c.ListenPeer = hostPort
		}
		if c.AdvertisePeer == "" {
			c.AdvertisePeer = own.PeerURL
		}
	}
	if c.ListenPeer == "" {
		c.ListenPeer = defaultListenPeer
	}
	return c.validate(clusterErr)
}

// settle derives the advertised URLs that were not given from the addresses
// bound, which is where a port of 0 becomes known.
func (c *config) settle(client, peer net.Addr) {
	if c.AdvertiseClient == "" {
		c.AdvertiseClient = advertised(c.ListenClient, client)
	}
	if c.AdvertisePeer == "" {
		c.AdvertisePeer = advertised(c.ListenPeer, peer)
	}
}

// advertised is the URL of a bound address: the host as it was written, since
// "localhost" says more than what it resolved to, and the port as it is.
func advertised(listen string, bound net.Addr) string {
	host, port, err := net.SplitHostPort(listen)
	if tcp, ok := bound.(*net.TCPAddr); ok && err == nil {
		port = fmt.Sprint(tcp.Port)
	}
	return "http://" + net.JoinHostPort(host, port)
}

// memberName is the name of member id: as given, or by its number.
func (c *config) memberName(id uint64) string {
	if c.Name != "" {
		return c.Name
	}
	return fmt.Sprintf("n%d", id)
}

// foundersOr are the founding members: as given, or member id alone. c must be
// settled.
func (c *config) foundersOr(id uint64) []founder {
	if len(c.founders) > 0 {
		return c.founders
	}
	return []founder{{ID: id, PeerURL: c.AdvertisePeer}}
}
