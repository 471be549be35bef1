package main

import (
	"net"
	"reflect"
	"testing"

	"kvd/internal/raftnode"
)

const testURLs = "http://127.0.0.1:12379,http://127.0.0.1:22379,http://127.0.0.1:32379"

func TestOwnerOfDataDirectory(t *testing.T) {
	founders, err := parseCluster(testURLs)
	if err != nil {
		t.Fatal(err)
	}
	ours := foundingClusterID(founders)
	tests := []struct {
		name  string
		owner raftnode.Identity
		args  []string
		want  []string // in the refusal; nil: accepted
	}{
		{"nothing asked for", raftnode.Identity{Cluster: 7, Member: 4, Name: "db4"}, nil, nil},
		{"the same", raftnode.Identity{Cluster: ours, Member: 2, Name: "n2"}, []string{"--id", "2", "--name", "n2", "--cluster", testURLs}, nil},
		{"the same, in another order", raftnode.Identity{Cluster: ours, Member: 1, Name: "n1"},
			[]string{"--cluster", "3=http://127.0.0.1:32379,1=http://127.0.0.1:12379,2=http://127.0.0.1:22379"}, nil},
		{"another id", raftnode.Identity{Cluster: 7, Member: 4, Name: "db4"}, []string{"--id", "5"},
			[]string{"belongs to member 4 (db4) of cluster 0000000000000007", "--id asks for member 5", "start it with --id 4", "another --data-dir"}},
		{"another id by place", raftnode.Identity{Cluster: ours, Member: 2, Name: "n2"}, []string{"--cluster", testURLs}, []string{"--id asks for member 1"}},
		{"another name", raftnode.Identity{Cluster: 7, Member: 4, Name: "db4"}, []string{"--name", "db5"}, []string{"--name asks for db5", "--name db4"}},
		{"another cluster", raftnode.Identity{Cluster: 7, Member: 1, Name: "n1"}, []string{"--cluster", testURLs},
			[]string{"--cluster founds cluster " + formatClusterID(ours), "founded with"}},
		{"everything else", raftnode.Identity{Cluster: 7, Member: 4, Name: "db4"}, []string{"--id", "2", "--name", "n2", "--cluster", testURLs},
			[]string{"member 2", "n2", formatClusterID(ours)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := configOf(t, tt.args...)
			err := checkOwner(cfg, tt.owner)
			if tt.want != nil {
				wantExit(t, err, exitDataDir, append(tt.want, cfg.DataDir)...)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestJoinOnUsedDirectory(t *testing.T) {
	f := newFakeMember(t, founding...)
	cfg := joinConfig(t, f.URL)
	seeds, err := checkJoined(t.Context(), cfg, raftnode.Identity{Cluster: testCluster, Member: 2})
	if want := map[uint64]string{1: "http://127.0.0.1:12379"}; err != nil || !reflect.DeepEqual(seeds, want) {
		t.Errorf("same cluster: seeds %v, %v; want %v", seeds, err, want)
	}
	_, err = checkJoined(t.Context(), cfg, raftnode.Identity{Cluster: 7, Member: 2})
	wantExit(t, err, exitDataDir, "of cluster 0000000000000007", "--join "+f.URL+" is cluster 0123456789abcdef")
	f.Close()
	if _, err := checkJoined(t.Context(), cfg, raftnode.Identity{Cluster: 7, Member: 2}); err != nil {
		t.Errorf("nobody answers: %v, want the directory to be believed", err)
	}
	if len(f.posted) > 0 {
		t.Errorf("posted %+v, want nothing", f.posted)
	}
}

func TestExistingDirectoryWithoutLog(t *testing.T) {
	founders, err := parseCluster(testURLs)
	if err != nil {
		t.Fatal(err)
	}
	alone := []founder{{ID: 1, PeerURL: "http://127.0.0.1:12379"}}
	tests := []struct {
		name    string
		cluster uint64
		args    []string
		want    []founder
	}{
		{"founded with others", foundingClusterID(founders), []string{"--cluster", testURLs}, founders},
		{"founded alone", foundingClusterID(alone), nil, alone},
		{"joined", 7, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := configOf(t, tt.args...)
			cfg.settle(&net.TCPAddr{Port: 12380}, &net.TCPAddr{Port: 12379})
			from, err := resumeOrigin(t.Context(), cfg, raftnode.Identity{Cluster: tt.cluster, Member: 1, Name: "n1"})
			if err != nil {
				t.Fatal(err)
			}
			if len(from.founders) != len(tt.want) || len(tt.want) > 0 && !reflect.DeepEqual(from.founders, nodeFounders(tt.want)) {
				t.Errorf("founders = %v, want %v", from.founders, tt.want)
			}
		})
	}
}
