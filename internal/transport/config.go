package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"go.uber.org/zap"
)

// Config says who this member is and how much it may take. Zero means the
// default for every limit and timeout.
type Config struct {
	// ID is this member's raft id, ClusterID the cluster's; neither is 0.
	ID, ClusterID uint64
	// PeerURL is where peers reach Handler, as in http://host:port.
	PeerURL string
	// Hosts are further host names (without port) that requests may name.
	// IP addresses, localhost and the host of PeerURL are always allowed.
	Hosts []string
	// Logger is required.
	Logger *zap.Logger
	// Dial opens connections to peers. Nil means a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// MaxFrameBytes bounds one frame, and so one message or forwarded
	// request, in both directions. Default 64 MiB. All members need the same.
	MaxFrameBytes int
	// MaxSnapshotBytes bounds one received snapshot body. Default 256 GiB.
	MaxSnapshotBytes int64
	// SnapshotSendBytesPerSecond bounds what this member sends of snapshot
	// bodies, all peers together, so that they leave room for the log. 0: no
	// limit; otherwise 65,536 at least, or receivers would take a snapshot for
	// stalled while buffers fill.
	SnapshotSendBytesPerSecond int64
	// AppendQueueBytes and ControlQueueBytes bound what waits for one peer's
	// streams. Beyond it the queue is dropped. Defaults 64 MiB and 4 MiB.
	AppendQueueBytes, ControlQueueBytes int
	// ForwardQueueBytes bounds the requests that wait to be written to one
	// peer. Beyond it Forward refuses. Default 64 MiB.
	ForwardQueueBytes int
	// MaxForwards bounds the requests of one peer in progress here; beyond it
	// the connection is not read. Default 1024.
	MaxForwards int

	// DialTimeout bounds connecting, and again the handshake. Default 2 s.
	DialTimeout time.Duration
	// IdleTimeout ends a connection on which nothing could be read, or nothing
	// written, for this long. Keepalives go out four times as often. Default
	// 5 s.
	IdleTimeout time.Duration
	// RetryMin and RetryMax bound the pause before dialing again. Defaults
	// 50 ms and 1 s.
	RetryMin, RetryMax time.Duration
	// RetryRefused is the pause after a refusal that time alone will not heal
	// (other cluster, other protocol, removed). Default 5 s.
	RetryRefused time.Duration
	// ForwardTimeout bounds the handling of one forwarded request, whatever
	// its sender asked for. Default 30 s.
	ForwardTimeout time.Duration
	// SnapshotStall ends a snapshot of which no byte has moved for this long.
	// Default 10 s.
	SnapshotStall time.Duration
	// SnapshotAnswer is how long a receiver may take to make a snapshot
	// durable once it has all of it. Default 60 s.
	SnapshotAnswer time.Duration
	// LearnInterval is the least time between two rounds of asking peers for
	// an unknown member. Default 1 s.
	LearnInterval time.Duration
}

func (c Config) withDefaults() Config {
	c.MaxFrameBytes = cmp.Or(c.MaxFrameBytes, 64<<20)
	c.MaxSnapshotBytes = cmp.Or(c.MaxSnapshotBytes, 256<<30)
	c.AppendQueueBytes = cmp.Or(c.AppendQueueBytes, 64<<20)
	c.ControlQueueBytes = cmp.Or(c.ControlQueueBytes, 4<<20)
	c.ForwardQueueBytes = cmp.Or(c.ForwardQueueBytes, 64<<20)
	c.MaxForwards = cmp.Or(c.MaxForwards, 1024)
	c.DialTimeout = cmp.Or(c.DialTimeout, 2*time.Second)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, 5*time.Second)
	c.RetryMin = cmp.Or(c.RetryMin, 50*time.Millisecond)
	c.RetryMax = cmp.Or(c.RetryMax, time.Second)
	c.RetryRefused = cmp.Or(c.RetryRefused, 5*time.Second)
	c.ForwardTimeout = cmp.Or(c.ForwardTimeout, 30*time.Second)
	c.SnapshotStall = cmp.Or(c.SnapshotStall, 10*time.Second)
	c.SnapshotAnswer = cmp.Or(c.SnapshotAnswer, 60*time.Second)
	c.LearnInterval = cmp.Or(c.LearnInterval, time.Second)
	if c.Dial == nil {
		d := &net.Dialer{Timeout: c.DialTimeout}
		c.Dial = d.DialContext
	}
	return c
}

// validate reports every fault at once.
func (c Config) validate() error {
	var errs []error
	if c.ID == 0 || isLocalTarget(c.ID) {
		errs = append(errs, fmt.Errorf("member id %d is reserved", c.ID))
	}
	if c.ClusterID == 0 {
		errs = append(errs, errors.New("cluster id is 0"))
	}
	if c.Logger == nil {
		errs = append(errs, errors.New("no logger"))
	}
	if _, err := parsePeerURL(c.PeerURL); err != nil {
		errs = append(errs, err)
	}
	for name, n := range map[string]int64{
		"MaxFrameBytes": int64(c.MaxFrameBytes), "MaxSnapshotBytes": c.MaxSnapshotBytes,
		"AppendQueueBytes": int64(c.AppendQueueBytes), "ControlQueueBytes": int64(c.ControlQueueBytes),
		"ForwardQueueBytes": int64(c.ForwardQueueBytes), "MaxForwards": int64(c.MaxForwards),
		"DialTimeout": int64(c.DialTimeout), "IdleTimeout": int64(c.IdleTimeout),
		"RetryMin": int64(c.RetryMin), "RetryMax": int64(c.RetryMax), "RetryRefused": int64(c.RetryRefused),
		"ForwardTimeout": int64(c.ForwardTimeout), "SnapshotStall": int64(c.SnapshotStall),
		"SnapshotAnswer": int64(c.SnapshotAnswer), "LearnInterval": int64(c.LearnInterval),
	} {
		if n < 0 {
			errs = append(errs, fmt.Errorf("%s is negative", name))
		}
	}
	if n := c.SnapshotSendBytesPerSecond; n != 0 && n < minSnapshotRate {
		errs = append(errs, fmt.Errorf("SnapshotSendBytesPerSecond %d is below %d", n, minSnapshotRate))
	}
	if c.MaxFrameBytes > 1<<30 {
		errs = append(errs, fmt.Errorf("MaxFrameBytes %d is over 1 GiB", c.MaxFrameBytes))
	}
	return errors.Join(errs...)
}

// keepalive is the pause between two keepalives on one connection.
func (c Config) keepalive() time.Duration { return c.IdleTimeout / 4 }

// frameTarget is where one frame ends if more than one message waits.
func (c Config) frameTarget() int { return min(frameTarget, c.MaxFrameBytes) }

// parsePeerURL accepts the base URL of a peer.
func parsePeerURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, fmt.Errorf("peer URL: %w", err)
	}
	if u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("peer URL %q is not of the form http://host:port", s)
	}
	return u, nil
}
