package kvstore

import (
	"fmt"
	"testing"
)

// seated opens n watchers that wait.
func seated(tb testing.TB, m *Machine, n int, of func(i int) WatchOptions) []*Watcher {
	tb.Helper()
	all := make([]*Watcher, n)
	for i := range all {
		o := of(i)
		o.FromNow = true
		w, err := m.watch(o)
		if err != nil {
			tb.Fatal(err)
		}
		if w.scan(make([]Event, 1)); !w.idle {
			tb.Fatal("there is something at once")
		}
		all[i] = w
	}
	return all
}

// otherKeys are watches of keys and prefixes that the benchmarks do not write, but
// that lie between those that they do and are looked up with each of them.
func otherKeys(i int) WatchOptions {
	key := benchKey(2*benchKeys + i*(benchKeys/10_000))
	if i%2 == 0 {
		return WatchOptions{Keys: [][]byte{key}}
	}
	return WatchOptions{Prefixes: [][]byte{key[:len(key)-1]}}
}

// BenchmarkApplyBesideWatchers is BenchmarkApply with watchers of other keys and
// prefixes waiting.
func BenchmarkApplyBesideWatchers(b *testing.B) {
	for _, n := range []int{0, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var m *Machine
			benchApply(b, func(x *Machine) {
				if m == nil {
					m = x
					b.StopTimer()
					seated(b, m, n, otherKeys)
					b.StartTimer()
				}
			})
		})
	}
}

// BenchmarkWatchIndex is what a change that concerns nobody costs beside 10,000
// watchers.
func BenchmarkWatchIndex(b *testing.B) {
	m := NewMachine()
	seated(b, m, 10_000, otherKeys)
	keys := make([][]byte, 1<<12)
	for i := range keys {
		keys[i] = benchKey(i * 7919 % benchKeys)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		m.watches.changed(keys[i%len(keys)], 1)
		i++
	}
}

// BenchmarkWatchersOfOneKey has 1,000 watchers get each put of the one key.
func BenchmarkWatchersOfOneKey(b *testing.B) {
	m := NewMachine()
	all := seated(b, m, 1_000, func(int) WatchOptions { return WatchOptions{Keys: [][]byte{[]byte("hot")}} })
	buf := make([]Event, 16)
	cmds := [][]byte{put("hot", "value")}
	index := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		index++
		if _, err := m.Apply(index, 0, cmds); err != nil {
			b.Fatal(err)
		}
		for _, w := range all {
			<-w.calledc
			if w.scan(buf) != 1 {
				b.Fatal("no event")
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(all)), "ns/event")
}
