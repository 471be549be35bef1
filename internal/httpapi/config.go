package httpapi

import (
	"errors"
	"fmt"
	"log"
	"time"
)

const (
	defaultMaxValueBytes = 1 << 20
	defaultTimeout       = 5 * time.Second
	defaultMaxStreams    = 256
	maxTimeout           = 5 * time.Minute
	maxDocumentBytes     = 64 << 10 // of a JSON request, and of a peer URL
)

// Config is what a Handler is made from.
type Config struct {
	// All of these are required.
	Store      Store
	Stats      Stats
	Cluster    Cluster
	Membership Membership
	Leadership Leadership
	Snapshots  Snapshots
	Verifier   Verifier
	Guard      Guard

	// Hosts are the addresses and names of this member, and any others that
	// clients may put into Host: with or without a port, which is not looked
	// at. Loopback addresses, "localhost" and the address a connection was
	// accepted on are always allowed. Wildcard addresses are passed over.
	Hosts []string

	MaxValueBytes int64         // largest value; 0: 1 MiB
	Timeout       time.Duration // of a request that names none; 0: 5 s, which ServerConfig's defaults are made for
	MaxStreams    int           // listings in lines at once, beyond which there is 429; 0: 256
	Compat        bool          // serve raftexample's routes at the root
	Version       string        // of this binary; "": "dev"

	// ErrorLog takes what is nobody's fault but ours: answers with status 500,
	// with their request id. nil: nowhere.
	ErrorLog *log.Logger

	MaxWatches    int           // watches and long polls at once, beyond which there is 429; 0: 20,000
	ProgressEvery time.Duration // between two progress events of a watch; 0: 15 s
}

func (c Config) withDefaults() Config {
	if c.MaxWatches == 0 {
		c.MaxWatches = defaultMaxWatches
	}
	if c.ProgressEvery == 0 {
		c.ProgressEvery = defaultProgressEvery
	}
	if c.MaxValueBytes == 0 {
		c.MaxValueBytes = defaultMaxValueBytes
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.MaxStreams == 0 {
		c.MaxStreams = defaultMaxStreams
	}
	if c.Version == "" {
		c.Version = "dev"
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	for _, need := range []struct {
		name    string
		missing bool
	}{
		{"store", c.Store == nil},
		{"store statistics", c.Stats == nil},
		{"cluster", c.Cluster == nil},
		{"membership", c.Membership == nil},
		{"leadership", c.Leadership == nil},
		{"snapshots", c.Snapshots == nil},
		{"verifier", c.Verifier == nil},
		{"guard", c.Guard == nil},
	} {
		if need.missing {
			errs = append(errs, errors.New("no "+need.name))
		}
	}
	if c.MaxValueBytes < 0 {
		errs = append(errs, fmt.Errorf("max value of %d bytes", c.MaxValueBytes))
	}
	if c.MaxStreams < 0 {
		errs = append(errs, fmt.Errorf("max %d streams", c.MaxStreams))
	}
	if c.Timeout < 0 || c.Timeout > maxTimeout {
		errs = append(errs, fmt.Errorf("timeout %v is not within 0 to %v", c.Timeout, maxTimeout))
	}
	if c.MaxWatches < 0 || c.ProgressEvery < 0 {
		errs = append(errs, fmt.Errorf("at most %d watches, progress every %v", c.MaxWatches, c.ProgressEvery))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("httpapi: %w", err)
	}
	return nil
}
