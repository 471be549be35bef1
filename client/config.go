package client

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

const (
	defaultTimeout        = 30 * time.Second
	defaultAttemptTimeout = 6 * time.Second
	defaultMaxAnswerBytes = 64 << 20
	defaultUserAgent      = "kvd-go-client"

	// maxTimeout keeps every retry well within the ten minutes for which the
	// cluster remembers the result of a write.
	maxTimeout = 5 * time.Minute
)

// Config is what a Client is made from. Zero values mean the default.
type Config struct {
	// Endpoints are the members' client URLs, such as http://10.0.0.1:12380:
	// scheme, host and port, nothing else. Required. The first is tried first.
	Endpoints []string

	// HTTPClient sends all requests; nil: one of this Client's own, and its own
	// connections for short calls. It is copied, and the copy follows no
	// redirect, which kvd never sends. Its own Timeout, if any, also ends
	// watches, which then go on by themselves.
	HTTPClient *http.Client

	// Timeout is for a whole call with all its attempts, beyond what a read
	// asks to wait for; 30 s, at most 5 min. A context may end it sooner.
	Timeout time.Duration

	// AttemptTimeout is for one attempt at one member; 6 s. The member is told
	// to give up a little earlier, so that it can still say what it knows.
	AttemptTimeout time.Duration

	// MaxAnswerBytes is the largest answer that is read as a whole; 64 MiB.
	// What is read piece by piece (All, Watch) has it as the limit of a piece.
	MaxAnswerBytes int64

	// UserAgent is told to the members; "kvd-go-client".
	UserAgent string

	// NoIdempotencyKeys sends writes without a key of their own, which spares
	// the cluster remembering them. A write is then repeated only when it was
	// surely not applied, and far more of them end with OutcomeUnknown.
	NoIdempotencyKeys bool
}

func (c Config) withDefaults() Config {
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.AttemptTimeout == 0 {
		c.AttemptTimeout = defaultAttemptTimeout
	}
	if c.MaxAnswerBytes == 0 {
		c.MaxAnswerBytes = defaultMaxAnswerBytes
	}
	if c.UserAgent == "" {
		c.UserAgent = defaultUserAgent
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	if len(c.Endpoints) == 0 {
		errs = append(errs, errors.New("no endpoints"))
	}
	for _, e := range c.Endpoints {
		if _, err := parseEndpoint(e); err != nil {
			errs = append(errs, err)
		}
	}
	if c.Timeout < 0 || c.Timeout > maxTimeout {
		errs = append(errs, fmt.Errorf("timeout %v is not within 0 to %v", c.Timeout, maxTimeout))
	}
	if c.AttemptTimeout < 0 || c.AttemptTimeout > maxTimeout {
		errs = append(errs, fmt.Errorf("attempt timeout %v is not within 0 to %v", c.AttemptTimeout, maxTimeout))
	}
	if c.MaxAnswerBytes < 0 {
		errs = append(errs, fmt.Errorf("largest answer of %d bytes", c.MaxAnswerBytes))
	}
	if !sendableValue(c.UserAgent) {
		errs = append(errs, fmt.Errorf("user agent %.40q cannot be sent", c.UserAgent))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("client: %w", err)
	}
	return nil
}

// parseEndpoint returns the base of all URLs of a member.
func parseEndpoint(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, fmt.Errorf("endpoint %q: %w", s, err)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("endpoint %q: the scheme must be http or https", s)
	case u.Host == "" || u.Opaque != "":
		return nil, fmt.Errorf("endpoint %q: no host", s)
	case u.Path != "" && u.Path != "/", u.RawQuery != "", u.ForceQuery, u.Fragment != "", u.User != nil:
		return nil, fmt.Errorf("endpoint %q: only scheme, host and port are taken", s)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

// ownHTTPClient is for who brings none.
func ownHTTPClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           newDialer().DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          0, // the next says it
		MaxIdleConnsPerHost:   maxIdle,
		IdleConnTimeout:       idleTime,
		TLSHandshakeTimeout:   3 * time.Second,
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true, // members send bytes as they are
	}}
}
