package httpapi

import (
	"fmt"
	"sync"
	"testing"
)

// TestListsBesideWrites pages through the store one key at a time, while writers
// add two keys and take them away again: a listing has the few keys of one
// moment, never those of several.
func TestListsBesideWrites(t *testing.T) {
	f := newFixture(t)
	done := make(chan struct{})
	var writers sync.WaitGroup
	for w := range 2 {
		writers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				prefix := fmt.Sprintf("/v1/kv/%d/%d/", w, i%40)
				f.do("PUT", prefix+"a", "v")
				f.do("PUT", prefix+"b", "v")
				f.do("DELETE", fmt.Sprintf("/v1/kv?prefix=%d/%d/", w, i%40), "")
			}
		})
	}
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			last := uint64(0)
			for range 150 {
				l := f.list("limit=1")
				keys := l.Count
				for l.Next != "" {
					next := f.list("limit=1&cursor=" + l.Next)
					if next.Revision != l.Revision {
						t.Errorf("a page of revision %d after one of %d", next.Revision, l.Revision)
					}
					keys += next.Count
					l = next
				}
				if keys > 4 || l.Revision < last {
					t.Errorf("%d keys at revision %d after %d", keys, l.Revision, last)
				}
				last = l.Revision
			}
		})
	}
	readers.Wait()
	close(done)
	writers.Wait()
}
