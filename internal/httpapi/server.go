package httpapi

import (
	"log"
	"net/http"
	"strings"
	"time"

	"kvd/internal/http1"
)

// answerTime is what writing an answer may take beyond the request's own
// timeout.
const answerTime = 30 * time.Second

// headerSlop is what net/http reads of a request beyond MaxHeaderBytes before
// it answers 431.
const headerSlop = 4096

// ServerConfig are the limits of an http.Server. Zero values mean the default.
type ServerConfig struct {
	HeaderTimeout  time.Duration // for the request line and headers; 5 s
	BodyTimeout    time.Duration // for all of the request; 30 s
	WriteTimeout   time.Duration // from the headers to the end of the answer; 60 s
	IdleTimeout    time.Duration // between requests; 60 s
	MaxHeaderBytes int           // request line and headers; 16 KiB
	ErrorLog       *log.Logger   // broken connections and the like; nil: the standard logger
}

// NewServer returns a server for h with a limit on everything that a client can
// make it wait for or hold. Its caller listens, serves and shuts down.
//
// A body's deadline is ReadTimeout and not a ResponseController's, since
// net/http sets one per request anyway; requests that ask for more time than
// usual move both deadlines (Handler.context), and so must a handler that
// streams.
//
// Requests that are over soon do not need all of net/http: see http1.
func NewServer(h http.Handler, cfg ServerConfig) *http1.Server {
	return http1.New(newServer(h, cfg), short)
}

func newServer(h http.Handler, cfg ServerConfig) *http.Server {
	if cfg.HeaderTimeout == 0 {
		cfg.HeaderTimeout = 5 * time.Second
	}
	if cfg.BodyTimeout == 0 {
		cfg.BodyTimeout = 30 * time.Second
	}
	if cfg.WriteTimeout == 0 {
		cfg.WriteTimeout = 60 * time.Second
	}
	if cfg.IdleTimeout == 0 {
		cfg.IdleTimeout = 60 * time.Second
	}
	if cfg.MaxHeaderBytes == 0 {
		cfg.MaxHeaderBytes = 16 << 10
	}
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: cfg.HeaderTimeout,
		ReadTimeout:       cfg.BodyTimeout,
		WriteTimeout:      cfg.WriteTimeout,
		IdleTimeout:       cfg.IdleTimeout,
		MaxHeaderBytes:    max(cfg.MaxHeaderBytes-headerSlop, 1),
		ErrorLog:          cfg.ErrorLog,
		// "OPTIONS *" is a request like any other: it gets the Host check.
		DisableGeneralOptionsHandler: true,
	}
}

// shortTime is how long a request may take of which nobody notices that its client
// has hung up.
const shortTime = 10 * time.Second

// short tells whether a request is over soon, whatever its client does.
func short(r *http.Request) bool {
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, kvPrefix), path == "/v1/txn", strings.HasPrefix(path, leasesPrefix):
	case path == listPath:
		if wantsNDJSON(r.Header["Accept"]) {
			return false
		}
	default:
		return false
	}
	if r.URL.RawQuery == "" {
		return true
	}
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		name, value, _ := strings.Cut(pair, "=")
		switch {
		case name == "wait", strings.Contains(name, "%"):
			return false
		case name == "timeout":
			if d, err := time.ParseDuration(value); err != nil || d > shortTime {
				return false
			}
		}
	}
	return true
}
