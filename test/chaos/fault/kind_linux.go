package fault

// Class says what a kind works on: two faults at once must not disturb each
// other's evidence.
type class int

const (
	network class = iota // goes with anything
	process
	disk
	member
	whole // needs all processes for itself; goes with network only
)

// Kind is one way to hurt a cluster.
type Kind struct {
	Name  string
	class class
	needs []string // commands; without root and these it is skipped
	root  bool     // needs root: a network namespace, a mount or strace
	// hurt does it. What it hits, proves and undoes it tells the wound.
	hurt func(w *Wound) error
	// leader: it hits whoever leads, and nobody else will do.
	leader bool
}

// Kinds are all that there are.
var Kinds = []Kind{
	{"isolate the leader", network, []string{"ip", "iptables"}, true, isolateLeader, true},
	{"isolate a member", network, []string{"ip", "iptables"}, true, isolateMember, false},
	{"isolate a minority", network, []string{"ip", "iptables"}, true, isolateMinority, false},
	{"one-way cut", network, []string{"ip", "iptables"}, true, oneWayCut, false},
	{"partial cut", network, []string{"ip", "iptables"}, true, partialCut, false},
	{"30 % loss", network, []string{"ip", "iptables"}, true, loss, false},
	{"connection resets", network, []string{"ip", "iptables"}, true, resets, false},
	{"slow link", network, []string{"ip", "tc"}, true, slowLink, false},
	{"delay", network, []string{"ip", "iptables", "ss"}, true, delay, false},
	{"kill -9 of one", process, nil, false, killOne, false},
	{"kill -9 of the leader", process, nil, false, killLeader, true},
	{"kill -9 of a majority", whole, nil, false, killMajority, false},
	{"kill -9 of all", whole, nil, false, killAll, false},
	{"SIGTERM and restart", process, nil, false, terminate, false},
	{"SIGSTOP", process, nil, false, freeze, false},
	{"rolling restart", whole, nil, false, rollingRestart, false},
	{"slow disk", disk, []string{"strace"}, true, slowDisk, false},
	{"failing disk", disk, []string{"strace"}, true, failingDisk, false},
	{"full disk", disk, []string{"mkfs.ext4", "mount"}, true, fullDisk, false},
	{"corrupted minority", member, nil, false, corrupt, false},
	{"change of members", member, nil, false, changeMembers, false},
}

// goesWith tells whether two kinds can happen at once.
func (k Kind) goesWith(o Kind) bool {
	if k.Name == o.Name || k.leader && o.leader {
		return false
	}
	if k.class == network || o.class == network {
		return true
	}
	// Two changes of who is a member would wait for each other.
	return k.class != whole && o.class != whole && (k.class != member || o.class != member)
}
