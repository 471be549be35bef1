package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const leasesPath = "/v1/leases"

// LeaseInfo is a lease.
type LeaseInfo struct {
	ID        LeaseID
	TTL       time.Duration
	Remaining time.Duration // of a read: until it ends, unless it is kept alive
	Keys      []string      // of GetLease: the keys that end with it
}

type leaseJSON struct {
	ID         LeaseID  `json:"id"`
	TTL        duration `json:"ttl"`
	Remaining  duration `json:"remaining"`
	Keys       []string `json:"keys"`
	KeysBase64 [][]byte `json:"keys_base64"`
}

func (j *leaseJSON) info() LeaseInfo {
	l := LeaseInfo{ID: j.ID, TTL: time.Duration(j.TTL), Remaining: time.Duration(j.Remaining), Keys: j.Keys}
	if j.KeysBase64 != nil {
		for _, key := range j.KeysBase64 {
			l.Keys = append(l.Keys, string(key))
		}
		l.Keys = sorted(l.Keys, false)
	}
	return l
}

// LeaseOptions are those of the writes of leases. nil means none.
type LeaseOptions struct {
	IdempotencyKey string // see PutOptions
}

func (o *LeaseOptions) key() string {
	if o == nil {
		return ""
	}
	return o.IdempotencyKey
}

// GrantLease makes a lease, which ends after ttl (1 s to 87,600 h) unless it is
// kept alive, and with it the keys that were written with it.
func (c *Client) GrantLease(ctx context.Context, ttl time.Duration, o *LeaseOptions) (*LeaseInfo, error) {
	q := newCall(keyed, http.MethodPost, leasesPath)
	q.timed = true
	q.write(c, o.key())
	if err := q.json(struct {
		TTL duration `json:"ttl"`
	}{duration(ttl)}); err != nil {
		return nil, err
	}
	var j leaseJSON
	if _, err := c.doJSON(ctx, q, &j); err != nil {
		return nil, err
	}
	return new(j.info()), nil
}

// leaseCall prepares a call to the path of a lease.
func leaseCall(k kind, method string, id LeaseID, end string) *call {
	q := newCall(k, method, leasesPath+"/"+id.String()+end)
	q.route = leasesPath + "/{id}" + end
	q.timed = true
	return q
}

// KeepAliveOnce gives a lease all of its TTL again, and returns how long that
// is. A lease that has ended is ErrNotFound.
func (c *Client) KeepAliveOnce(ctx context.Context, id LeaseID) (time.Duration, error) {
	return c.keepAlive(ctx, id, 0)
}

func (c *Client) keepAlive(ctx context.Context, id LeaseID, haste time.Duration) (time.Duration, error) {
	var j struct {
		Remaining duration `json:"remaining"`
	}
	// To do it twice does no more than once: it needs no key to be remembered.
	q := leaseCall(repeatable, http.MethodPost, id, "/keepalive")
	q.haste = haste
	_, err := c.doJSON(ctx, q, &j)
	return time.Duration(j.Remaining), err
}

// KeepAlive keeps a lease alive, three times within each TTL, for as long as
// ctx lives, and blocks meanwhile. It always returns an error: ctx's; or
// ErrNotFound, when the lease has ended; or another, when nobody has confirmed
// for a whole TTL that it lives, so that its owner must take it for ended.
func (c *Client) KeepAlive(ctx context.Context, id LeaseID) error {
	begun := time.Now()
	remaining, err := c.KeepAliveOnce(ctx, id)
	for {
		if err != nil {
			return err
		}
		if remaining <= 0 {
			return fmt.Errorf("client: keep lease %v alive: %w: %v remain", id, ErrBadAnswer, remaining)
		}
		// Of the time before the attempt that was answered, and not after: then
		// no clock at the other end can be ahead of ours.
		end := begun.Add(remaining)
		timer := time.NewTimer(time.Until(begun.Add(remaining / 3)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("client: keep lease %v alive: %w", id, ctx.Err())
		}
		begun, remaining, err = c.keepAliveUntil(ctx, id, end)
	}
}

// keepAliveUntil keeps a lease alive once, at any number of attempts until end.
// It returns when the successful call began.
func (c *Client) keepAliveUntil(ctx context.Context, id LeaseID, end time.Time) (time.Time, time.Duration, error) {
	haste := time.Until(end) / 4 // a member that hangs must not cost the lease
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	for {
		begun := time.Now()
		remaining, err := c.keepAlive(ctx, id, haste)
		if e, ok := errors.AsType[*Error](err); ok && ctx.Err() == nil && errors.Is(e, context.DeadlineExceeded) {
			continue // Config.Timeout is over, and the lease is not
		}
		return begun, remaining, err
	}
}

// RevokeLease ends a lease at once, and deletes its keys in one revision. It
// returns how many these were.
func (c *Client) RevokeLease(ctx context.Context, id LeaseID, o *LeaseOptions) (uint64, error) {
	q := leaseCall(keyed, http.MethodDelete, id, "")
	q.write(c, o.key())
	a, err := c.do(ctx, q)
	if err != nil {
		return 0, err
	}
	return a.deleted, nil
}

// GetLease returns a lease with its keys.
func (c *Client) GetLease(ctx context.Context, id LeaseID) (*LeaseInfo, error) {
	var j leaseJSON
	if _, err := c.doJSON(ctx, leaseCall(reading, http.MethodGet, id, ""), &j); err != nil {
		return nil, err
	}
	return new(j.info()), nil
}

// Leases returns all leases, without their keys.
func (c *Client) Leases(ctx context.Context) ([]LeaseInfo, error) {
	q := newCall(reading, http.MethodGet, leasesPath)
	q.timed = true
	var all []leaseJSON
	if _, err := c.doJSON(ctx, q, &all); err != nil {
		return nil, err
	}
	leases := make([]LeaseInfo, len(all))
	for i := range all {
		leases[i] = all[i].info()
	}
	return leases, nil
}
