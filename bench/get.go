package main

// gets are reads of keys that exist: linearizable ones, and stale ones.
func gets() []scenario {
	go3 := []string{wayKvdWire, wayKvdGo, wayEtcdGo}
	all := []string{wayKvdWire, wayKvdGo, wayEtcdGo, wayEtcdWeb, wayBare}
	return []scenario{
		{with(kindGet, 1, atLeader), go3, true, []goal{{wayKvdWire, wayEtcdGo, 3, 0}}},
		{with(kindGet, 64, atLeader), all, true, []goal{{wayKvdWire, wayEtcdGo, 4, 0}, {wayKvdWire, wayBare, 0.7, 0}}},
		{with(kindGet, 256, atLeader), go3, false, nil},
		{with(kindGet, 1, atAll), go3, false, nil},
		{with(kindGet, 64, atAll), go3, true, []goal{{wayKvdWire, wayEtcdGo, 4, 0}}},
		{with(kindGet, 256, atAll), go3, false, nil},
		{with(kindStale, 1, atLeader), go3, false, nil},
		{with(kindStale, 64, atLeader), all, true, []goal{{wayKvdWire, wayEtcdGo, 4, 0}}},
		{with(kindStale, 64, atAll), go3, false, nil},
		{with(kindStale, 256, atAll), go3, false, nil},
	}
}
