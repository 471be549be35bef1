package main

// listings are pages of 100 keys with their values, each from another key on.
func listings() []scenario {
	list := []string{wayKvdWire, wayKvdGo, wayEtcdGo, wayEtcdWeb}
	million := with(kindList, 1, atLeader)
	million.Keys = 1_000_000
	return []scenario{
		{with(kindList, 1, atLeader), list[:3], true, nil},
		{with(kindList, 64, atLeader), list, false, nil},
		{million, list[:3], false, []goal{{wayKvdWire, wayEtcdGo, 100, 0}}},
	}
}
