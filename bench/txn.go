package main

// txns are transactions of a comparison, a put and a get.
func txns() []scenario {
	list := []string{wayKvdWire, wayKvdGo, wayEtcdGo, wayEtcdWeb}
	return []scenario{
		{with(kindTxn, 1, atLeader), list, false, nil},
		{with(kindTxn, 64, atLeader), list, true, nil},
		{with(kindTxn, 256, atAll), list, false, nil},
	}
}
