package main

// puts are writes of keys that exist.
func puts() []scenario {
	go3 := []string{wayKvdWire, wayKvdGo, wayEtcdGo}
	all := []string{wayKvdWire, wayKvdGo, wayEtcdGo, wayEtcdWeb, wayBare}
	return []scenario{
		{with(kindPut, 1, atLeader), go3, true, []goal{{wayKvdWire, wayEtcdGo, 2.5, 0}}},
		{with(kindPut, 64, atLeader), all, true, []goal{{wayKvdWire, wayEtcdGo, 5, 0.25}, {wayKvdWire, wayBare, 0.4, 0}}},
		{with(kindPut, 256, atLeader), go3, false, nil},
		{with(kindPut, 1, atAll), go3, false, nil},
		{with(kindPut, 64, atAll), go3, true, []goal{{wayKvdWire, wayEtcdGo, 5, 0}}},
		{with(kindPut, 256, atAll), go3, true, []goal{{wayKvdWire, wayEtcdGo, 5, 0.25}}},
		{with(kindPut, 1000, atAll), go3, false, []goal{{wayKvdWire, wayEtcdGo, 3, 0}}},
	}
}
