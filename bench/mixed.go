package main

// mixtures are nine linearizable reads to each write.
func mixtures() []scenario {
	list := []string{wayKvdWire, wayKvdGo, wayEtcdGo}
	return []scenario{
		{with(kindMixed, 1, atLeader), list, false, nil},
		{with(kindMixed, 64, atLeader), append(list, wayEtcdWeb), true, []goal{{wayKvdWire, wayEtcdWeb, 4, 0}}},
		{with(kindMixed, 64, atAll), list, false, nil},
		{with(kindMixed, 256, atAll), list, false, nil},
	}
}
