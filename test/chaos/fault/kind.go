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
}

// Kinds are all that there are.
var Kinds = []Kind{
	{"isolate the leader", network, []string{"ip", "iptables"}, true, isolateLeader},
	{"isolate a member", network, []string{"ip", "iptables"}, true, isolateMember},
	{"isolate a minority", network, []string{"ip", "iptables"}, true, isolateMinority},
	{"one-way cut", network, []string{"ip", "iptables"}, true, oneWayCut},
	{"partial cut", network, []string{"ip", "iptables"}, true, partialCut},
	{"30 % loss", network, []string{"ip", "iptables"}, true, loss},
	{"connection resets", network, []string{"ip", "iptables"}, true, resets},
	{"slow link", network, []string{"ip", "tc"}, true, slowLink},
	{"delay", network, []string{"ip", "iptables", "ss"}, true, delay},
	{"kill -9 of one", process, nil, false, killOne},
	{"kill -9 of the leader", process, nil, false, killLeader},
	{"kill -9 of a majority", whole, nil, false, killMajority},
	{"kill -9 of all", whole, nil, false, killAll},
	{"SIGTERM and restart", process, nil, false, terminate},
	{"SIGSTOP", process, nil, false, freeze},
	{"rolling restart", whole, nil, false, rollingRestart},
	{"slow disk", disk, []string{"strace"}, true, slowDisk},
	{"failing disk", disk, []string{"strace"}, true, failingDisk},
	{"full disk", disk, []string{"mkfs.ext4", "mount"}, true, fullDisk},
	{"corrupted minority", member, nil, false, corrupt},
	{"change of members", member, nil, false, changeMembers},
}

// goesWith tells whether two kinds can happen at once.
func (k Kind) goesWith(o Kind) bool {
	if k.class == network || o.class == network {
		return k.Name != o.Name
	}
	// Two changes of who is a member would wait for each other.
	return k.class != whole && o.class != whole && (k.class != member || o.class != member) && k.Name != o.Name
}
