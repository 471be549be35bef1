package clustertest

import (
	"context"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
)

func TestThreeMembers(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 1, 3, raftnode.Config{SnapshotEntries: 50, CatchUpEntries: 5})
		defer c.Close()
		c.StartAll()
		l, err := c.WaitLeader(5 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		for i := range 300 {
			for _, m := range c.Members() {
				if _, err := m.DB().Put(ctx, []byte("k"), []byte{byte(i)}, kvstore.PutOptions{}); err != nil {
					t.Fatalf("put %d on %d: %v", i, m.ID, err)
				}
				r, err := c.Members()[i%3].DB().Get(ctx, []byte("k"), kvstore.GetOptions{})
				if err != nil || r.Value[0] != byte(i) {
					t.Fatalf("get: %v %v", r, err)
				}
			}
		}
		t.Log("leader", l.ID, l.Node().Members(), c.Violations())
		st, _ := l.Node().Status(ctx)
		t.Logf("%+v", st)
	})
}
