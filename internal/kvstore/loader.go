package kvstore

// How full the nodes of a loaded tree are: room for a few inserts before the
// first splits.
const (
	leafLoad  = 56
	innerLoad = 56
)

// loader builds a tree from items that come in ascending order of their keys,
// without a search, and with nodes fuller than inserts leave them.
type loader struct {
	leaves []node
	seps   []string // seps[i] divides leaves[i] from leaves[i+1]
	open   *leaf
	n      int
}

func (ld *loader) add(it *item) {
	if ld.open == nil || ld.open.n == leafLoad {
		next := &leaf{}
		if ld.open != nil {
			ld.seps = append(ld.seps, separator(ld.open.items[ld.open.n-1].kv, it.kv))
		}
		ld.leaves = append(ld.leaves, next)
		ld.open = next
	}
	ld.open.insert(ld.open.n, it, tagOf(it.kv))
	ld.n++
}

// last is the newest item, nil before the first.
func (ld *loader) last() *item {
	if ld.open == nil {
		return nil
	}
	return ld.open.items[ld.open.n-1]
}

// tree is called once, after the last add.
func (ld *loader) tree() tree {
	if ld.n == 0 {
		return newTree()
	}
	nodes, seps := ld.leaves, ld.seps
	for len(nodes) > 1 {
		nodes, seps = layer(nodes, seps)
	}
	return tree{root: nodes[0], n: ld.n}
}

// layer puts inner nodes of about equal size over nodes.
func layer(nodes []node, seps []string) (up []node, upSeps []string) {
	groups := (len(nodes) + innerLoad - 1) / innerLoad
	for g := range groups {
		from, to := g*len(nodes)/groups, (g+1)*len(nodes)/groups
		in := &inner{}
		in.fill(nodes[from:to], seps[from:to-1])
		up = append(up, in)
		if to < len(nodes) {
			upSeps = append(upSeps, seps[to-1])
		}
	}
	return up, upSeps
}
