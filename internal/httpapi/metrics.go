package httpapi

import (
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// methodNames are the values of the label method; whatever else a client
// invents is counted as the last.
var methodNames = [...]string{"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "other"}

// codeNames are the values of the label code. The first is for a request whose
// body broke off: nobody is there to be answered, and no one here did wrong.
var codeNames = [...]string{"aborted", "1xx", "2xx", "3xx", "4xx", "5xx"}

// metrics count requests. Plain atomics, read when somebody scrapes: the
// request of every day pays three additions.
type metrics struct {
	inFlight atomic.Int64
	requests [len(methodNames)][len(codeNames)]atomic.Uint64

	watches     atomic.Int64 // open, long polls too
	watchEvents atomic.Uint64
	watchResets atomic.Uint64
}

func (m *metrics) done(method string, status int, err error) {
	code := status / 100
	if err != nil && errors.Is(err, errBadBody) {
		code = 0
	}
	m.requests[methodIndex(method)][code].Add(1)
}

func methodIndex(method string) int {
	switch method {
	case "GET":
		return 0
	case "HEAD":
		return 1
	case "PUT":
		return 2
	case "POST":
		return 3
	case "DELETE":
		return 4
	case "PATCH":
		return 5
	}
	return 6
}

// collector shows a Handler's counters, its store and its cluster to
// Prometheus. Everything is read when it is asked for.
type collector struct{ h *Handler }

// Describe sends nothing: which peers there are is known only as it is
// collected.
func (c collector) Describe(chan<- *prometheus.Desc) {}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("kvd_"+name, help, labels, nil)
}

var (
	descRequests = desc("http_requests_total", "Requests answered, by method and class of status.", "method", "code")
	descInFlight = desc("http_requests_in_flight", "Requests being served.")
	descDraining = desc("http_draining", "1 while new writes are refused because the process is stopping.")
	descWatchers = desc("watchers", "Watches and long polls that are open.")
	descWatched  = desc("watch_events_total", "Events sent to watchers.")
	descResets   = desc("watch_resets_total", "Watches that fell behind the history.")
	descBuild    = desc("build_info", "Always 1; the label tells the version.", "version")

	descKeys     = desc("store_keys", "Keys in the store, as applied here.")
	descBytes    = desc("store_bytes", "Bytes of keys and values in the store, as applied here.")
	descRevision = desc("store_revision", "Revision of the store, as applied here.")
	descHistory  = desc("store_history_bytes", "Bytes of replaced and deleted versions still kept, as applied here.")
	descOldest   = desc("store_compacted_revision", "Oldest revision that can be read here.")

	descUsed     = desc("used_bytes", "Bytes that the quota counts, as applied here: store, history and remembered requests.")
	descLeases   = desc("leases", "Leases, as applied here.")
	descRemember = desc("requests", "Idempotency keys remembered, as applied here.")

	descDiverged  = desc("state_diverged", "1 while this member serves no keys because its state is not the others'.")
	descDiskFree  = desc("disk_free_bytes", "Bytes free where the data directory is.")
	descReserve   = desc("disk_reserve_bytes", "Free bytes below which no data is added; 0: no limit.")
	descDiskShort = desc("disk_short", "Members, as far as is known here, whose disk has less than its reserve free.")

	descMember    = desc("raft_member_info", "Always 1; the labels tell who this member is.", "id", "name", "cluster_id")
	descTerm      = desc("raft_term", "Current term.")
	descLeader    = desc("raft_leader_id", "Id of the leader known here, 0 without one.")
	descIsLeader  = desc("raft_is_leader", "1 on the leader.")
	descCommit    = desc("raft_commit_index", "Highest index known here to be committed.")
	descApplied   = desc("raft_applied_index", "Highest index applied here.")
	descFirst     = desc("raft_first_index", "First index still in the log.")
	descLast      = desc("raft_last_index", "Last index in the log.")
	descSnapshot  = desc("raft_snapshot_index", "Index of the newest snapshot.")
	descClock     = desc("raft_clock_seconds", "The log's clock.")
	descVoters    = desc("raft_voters", "Voters of the configuration applied here.")
	descLearners  = desc("raft_learners", "Learners of the configuration applied here.")
	descStaleness = desc("raft_staleness_seconds", "Time since a leader was last heard; absent when none ever was.")
	descMatch     = desc("raft_peer_match_index", "Highest index known to be in a peer's log. Leader only.", "peer")
	descActive    = desc("raft_peer_active", "1 when the peer was heard lately. Leader only.", "peer")
	descContact   = desc("raft_peer_last_contact_seconds", "Time since the peer was last heard. Leader only.", "peer")
)

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	m := &c.h.metrics
	for i, method := range methodNames {
		for j, code := range codeNames {
			if n := m.requests[i][j].Load(); n > 0 {
				out <- prometheus.MustNewConstMetric(descRequests, prometheus.CounterValue, float64(n), method, code)
			}
		}
	}
	gauge(descInFlight, float64(m.inFlight.Load()))
	gauge(descDraining, boolValue(c.h.draining.Load()))
	gauge(descBuild, 1, c.h.cfg.Version)
	gauge(descWatchers, float64(m.watches.Load()))
	out <- prometheus.MustNewConstMetric(descWatched, prometheus.CounterValue, float64(m.watchEvents.Load()))
	out <- prometheus.MustNewConstMetric(descResets, prometheus.CounterValue, float64(m.watchResets.Load()))

	stats := c.h.cfg.Stats
	gauge(descKeys, float64(stats.Len()))
	gauge(descBytes, float64(stats.Bytes()))
	gauge(descRevision, float64(stats.Revision()))
	gauge(descHistory, float64(stats.HistoryBytes()))
	gauge(descOldest, float64(stats.Compacted()))
	gauge(descUsed, float64(stats.Used()))
	gauge(descLeases, float64(stats.LeaseCount()))
	gauge(descRemember, float64(stats.Requests()))

	gauge(descDiverged, boolValue(c.h.guarded() != nil))
	disk := c.h.cfg.Guard.Disk()
	gauge(descDiskFree, float64(disk.Free))
	gauge(descReserve, float64(disk.Reserve))
	gauge(descDiskShort, float64(len(disk.Short)))

	s := c.h.cfg.Cluster.Status()
	cluster, _ := s.ClusterID.MarshalText()
	gauge(descMember, 1, strconv.FormatUint(s.ID, 10), s.Name, string(cluster))
	gauge(descTerm, float64(s.Term))
	gauge(descLeader, float64(s.Leader))
	gauge(descIsLeader, boolValue(s.Leader != 0 && s.Leader == s.ID))
	gauge(descCommit, float64(s.Commit))
	gauge(descApplied, float64(s.Applied))
	gauge(descFirst, float64(s.FirstIndex))
	gauge(descLast, float64(s.LastIndex))
	gauge(descSnapshot, float64(s.SnapshotIndex))
	gauge(descClock, time.Duration(s.Clock).Seconds())
	gauge(descVoters, float64(len(s.Voters)))
	gauge(descLearners, float64(len(s.Learners)))
	if age, heard := c.h.cfg.Cluster.Staleness(); heard {
		gauge(descStaleness, age.Seconds())
	}
	for _, p := range s.Progress {
		peer := strconv.FormatUint(p.ID, 10)
		gauge(descMatch, float64(p.Match), peer)
		gauge(descActive, boolValue(p.RecentActive), peer)
		gauge(descContact, time.Duration(p.LastContact).Seconds(), peer)
	}
}

func boolValue(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// newGatherer serves the process's metrics, which the libraries keep in the
// default registry, and this Handler's own. Ours are in a registry of their
// own, so that two members can live in one process.
func (h *Handler) newGatherer() http.Handler {
	own := prometheus.NewRegistry()
	own.MustRegister(collector{h})
	return promhttp.HandlerFor(prometheus.Gatherers{prometheus.DefaultGatherer, own}, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// serveMetrics serves GET /metrics.
func (h *Handler) serveMetrics(w http.ResponseWriter, r *http.Request) (int, error) {
	if _, err := parseParams(r.URL.RawQuery, paramName); err != nil {
		return 0, err
	}
	h.gatherer.ServeHTTP(w, r)
	return http.StatusOK, nil
}
