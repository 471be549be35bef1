package fault

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"kvd/test/chaos/cluster"
)

// CanIsolate says why places cannot have a network of their own here; nil: they
// can.
func CanIsolate() error {
	if os.Getuid() != 0 {
		return errors.New("network namespaces need root")
	}
	if !cluster.Has("ip") {
		return errors.New("the command ip (iproute2) is missing")
	}
	name := fmt.Sprintf("kvd-chaos-%d-probe", os.Getpid())
	if err := cluster.Run("ip", "netns", "add", name); err != nil {
		return err
	}
	err := errors.Join(
		cluster.Run("ip", "-n", name, "link", "add", "bridge", "type", "bridge"),
		cluster.Run("ip", "-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", "eth1"),
	)
	return errors.Join(err, cluster.Run("ip", "netns", "del", name))
}

// CanMount says why places cannot have a file system of their own here.
func CanMount() error {
	if os.Getuid() != 0 {
		return errors.New("file systems are mounted by root only")
	}
	for _, name := range []string{"mkfs.ext4", "mount"} {
		if !cluster.Has(name) {
			return fmt.Errorf("the command %s is missing", name)
		}
	}
	return nil
}

// trials are what the kernel may not know, by kind: a command that is tried in
// one place, and the one that undoes it.
var trials = map[string][2]string{
	"30 % loss":         {"iptables -w -A INPUT -m statistic --mode random --probability 0.3 -j ACCEPT", "iptables -w -F INPUT"},
	"connection resets": {"iptables -w -A INPUT -s 192.0.2.1 -p tcp -j REJECT --reject-with tcp-reset", "iptables -w -F INPUT"},
	"delay":             {"iptables -t nat -w -A PREROUTING -s 192.0.2.1 -p tcp -j REDIRECT --to-ports 9", "iptables -t nat -w -F PREROUTING"},
	"slow link":         {"tc qdisc add dev eth0 root tbf rate 1mbit burst 8kb latency 400ms", "tc qdisc del dev eth0 root"},
	"slow disk":         {"strace -o /dev/null -e trace=fsync -e inject=fsync:delay_enter=1 true", "true"},
	"failing disk":      {"strace -o /dev/null -e trace=fsync -e inject=fsync:error=EIO true", "true"},
}

// Able sorts the kinds into those that can be had with this cluster and this
// machine, and the others, each with the reason. want are names; none: all.
func Able(c *cluster.Cluster, want []string) (able []Kind, skipped map[string]string) {
	skipped = map[string]string{}
	for _, k := range Kinds {
		if len(want) > 0 && !slices.Contains(want, k.Name) {
			continue
		}
		if err := k.possible(c); err != nil {
			skipped[k.Name] = err.Error()
			continue
		}
		able = append(able, k)
	}
	return able, skipped
}

func (k Kind) possible(c *cluster.Cluster) error {
	if k.root && os.Getuid() != 0 {
		return errors.New("it needs root")
	}
	for _, name := range k.needs {
		if !cluster.Has(name) {
			return fmt.Errorf("the command %s is missing", name)
		}
	}
	if k.class == network && !c.Isolated() {
		return errors.New("the members share one network")
	}
	if k.Name == "full disk" && !c.Disks() {
		return errors.New("the members share one file system")
	}
	if trial, found := trials[k.Name]; found {
		p := c.Places()[0]
		if err := p.Run(strings.Fields(trial[0])...); err != nil {
			return err
		}
		return p.Run(strings.Fields(trial[1])...)
	}
	return nil
}
