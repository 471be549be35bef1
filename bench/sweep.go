package main

// sweeps change one quantity at a time, for the curves: how the cost of a
// request grows with it. They come last, those with the same clusters together.
func sweeps() []scenario {
	list := []string{wayKvdWire, wayEtcdGo}
	var all []scenario
	add := func(change func(w *work), goals ...goal) {
		for _, kind := range []string{kindPut, kindGet} {
			w := with(kind, 64, atLeader)
			change(&w)
			all = append(all, scenario{w, list, false, goals})
		}
	}
	for _, keys := range []int{10_000, 1_000_000} {
		add(func(w *work) { w.Keys = keys })
	}
	for _, size := range []int{16, 1 << 10, 16 << 10, 128 << 10, 1 << 20} {
		add(func(w *work) {
			w.ValueBytes = size
			w.Keys = sweptKeys(size)
		})
	}
	for _, members := range []int{1, 5} {
		add(func(w *work) { w.Members = members })
	}
	for _, watchers := range []int{1_000, 10_000} {
		w := with(kindPut, 64, atLeader)
		w.Watchers = watchers
		all = append(all, scenario{w, list, false, nil})
	}
	return all
}

// sweepBytes is how much is stored at most with large values.
const sweepBytes = 64 << 20

// sweptKeys is how many keys there are with values of a size: the usual number,
// or fewer, so that all fit into memory.
func sweptKeys(valueBytes int) int { return min(usual().Keys, sweepBytes/valueBytes) }
