package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kvd/client"
)

// testWatch kills the member that the watch is served by on the way.
func testWatch(ctx context.Context, t *testing.T, c, writer *client.Client, kill func()) {
	w, err := c.Watch(ctx, &client.WatchOptions{Prefixes: []string{"watch/"}, Prev: true})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var want []string
	note := func(kind client.EventType, key string, revision uint64) {
		want = append(want, fmt.Sprintf("%d %s %s", revision, kind, key))
	}
	done := make(chan error, 1)
	go func() {
		done <- func() error {
			var third []string // keys below watch/3/
			for i := range 60 {
				key := fmt.Sprintf("watch/%d/%d", i%7, i)
				put, err := writer.Put(ctx, key, []byte(key), nil)
				if errors.Is(err, client.ErrOutcomeUnknown) {
					// It had no idempotency key, and was sent when its leader went.
					got, err := writer.Get(ctx, key, nil)
					if errors.Is(err, client.ErrNotFound) {
						continue
					}
					if err != nil {
						return err
					}
					put = &client.PutResult{ModRevision: got.ModRevision}
				} else if err != nil {
					return err
				}
				note(client.EventPut, key, put.ModRevision)
				if i%7 == 3 {
					third = append(third, key)
				}
				if _, err := writer.Put(ctx, "other", nil, nil); err != nil && !errors.Is(err, client.ErrOutcomeUnknown) {
					return err
				}
				if i == 30 {
					kill()
				}
			}
			gone, err := writer.DeletePrefix(ctx, "watch/3/", nil)
			if err != nil {
				return err
			}
			for _, key := range third {
				note(client.EventDelete, key, gone.Revision)
			}
			return nil
		}()
	}()
	var got []string
	for ev, err := range w.Events() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%d %s %s", ev.Revision, ev.Type, ev.Item.Key))
		if (ev.Prev != nil) != (ev.Type == client.EventDelete) || ev.Type == client.EventPut && string(ev.Item.Value) != ev.Item.Key {
			t.Errorf("%+v", ev)
		}
		if ev.Type == client.EventDelete && ev.Last {
			break
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	// Within the one deletion, events stand in the order of their keys.
	slices.Sort(want[slices.IndexFunc(want, func(s string) bool { return strings.Contains(s, " delete ") }):])
	if !slices.Equal(got, want) {
		t.Errorf("\ngot  %q\nwant %q", got, want)
	}

	last := w.Revision()
	if err := c.Compact(ctx, last); err != nil {
		t.Fatal(err)
	}
	var gone *client.CompactedError
	if _, err := c.Watch(ctx, &client.WatchOptions{Since: last - 5}); !errors.As(err, &gone) || gone.Oldest == 0 {
		t.Errorf("a watch from what was compacted: %v", err)
	}
	if _, err := c.Watch(ctx, &client.WatchOptions{Since: last + 1000}); !errors.Is(err, client.ErrFutureRevision) {
		t.Errorf("a watch from the future: %v", err)
	}
}

func testLongPoll(ctx context.Context, t *testing.T, c *client.Client) {
	put, err := c.Put(ctx, "poll", []byte("1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	same, err := c.Get(ctx, "poll", &client.GetOptions{Unless: put.ModRevision, Wait: 50 * time.Millisecond})
	if err != nil || !same.NotModified {
		t.Errorf("got %+v, %v", same, err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := c.Put(ctx, "poll", []byte("2"), nil)
		done <- err
	}()
	got, err := c.Get(ctx, "poll", &client.GetOptions{Unless: put.ModRevision, Wait: 20 * time.Second})
	if err != nil || string(got.Value) != "2" {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
