package raftnode

import "context"

// do lets the loop run f, if it still can; it does not wait.
func (n *Node[R]) do(f func(*loop[R])) {
	n.inbox.put(func(in *inputs[R]) {
		in.calls = append(in.calls, func(l *loop[R]) {
			if l != nil {
				f(l)
			}
		})
	})
}

// ask lets the loop run f and waits for its answer.
func ask[R, A any](ctx context.Context, n *Node[R], f func(*loop[R]) (A, error)) (A, error) {
	type answer struct {
		a   A
		err error
	}
	c := make(chan answer, 1)
	var none A
	ok := n.inbox.put(func(in *inputs[R]) {
		in.calls = append(in.calls, func(l *loop[R]) {
			if l == nil {
				c <- answer{none, ErrStopped}
				return
			}
			a, err := f(l)
			c <- answer{a, err}
		})
	})
	if !ok {
		return none, ErrStopped
	}
	select {
	case x := <-c:
		return x.a, x.err
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}
