package clustertest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	accounts = 4
	deposit  = 100 // in each of them at first
)

// bank moves money between accounts in transactions. What the accounts hold
// together never changes, at any revision.
func (s *sim) bank(a *client) {
	for n := 0; !s.over(); n++ {
		a.pause(400 * time.Millisecond)
		r, o := a.once(call{method: "GET", path: "/v1/kv?prefix=b/"})
		if o != answered {
			continue
		}
		items, ok := s.claimList(a, "b/", r)
		switch {
		case !ok:
		case len(items) == 0:
			s.openAccounts(a, n)
		case len(items) == accounts:
			s.transfer(a, n, items)
		}
	}
}

// openAccounts makes all accounts, if there are none.
func (s *sim) openAccounts(a *client, n int) {
	var conds, puts []string
	for i := range accounts {
		conds = append(conds, fmt.Sprintf(`{"key":"b/%d","exists":false}`, i))
		puts = append(puts, fmt.Sprintf(`{"put":{"key":"b/%d","value":"%d|%d-%d-%d"}}`, i, deposit, a.id, n, i))
	}
	s.txn(a, conds, puts)
}

// transfer moves something from one account to another, if nobody else has
// touched either.
func (s *sim) transfer(a *client, n int, items []listed) {
	from, to := &items[a.rng.IntN(accounts)], &items[a.rng.IntN(accounts)]
	if from == to {
		return
	}
	amount := a.rng.IntN(20)
	has, gets := balance(from.Value), balance(to.Value)
	if has < amount {
		return
	}
	var conds, puts []string
	for _, side := range []struct {
		*listed
		new int
	}{{from, has - amount}, {to, gets + amount}} {
		conds = append(conds, fmt.Sprintf(`{"key":%q,"mod_revision":{"eq":%d}}`, side.Key, side.ModRevision))
		puts = append(puts, fmt.Sprintf(`{"put":{"key":%q,"value":"%d|%d-%d-%s"}}`, side.Key, side.new, a.id, n, side.Key))
	}
	s.txn(a, conds, puts)
}

// txn sends a transaction that reads the accounts where its conditions do not hold.
func (s *sim) txn(a *client, conds, puts []string) {
	body := fmt.Sprintf(`{"if":[%s],"then":[%s],"else":[{"range":{"prefix":"b/"}}]}`, strings.Join(conds, ","), strings.Join(puts, ","))
	r, o := a.surely(call{method: "POST", path: "/v1/txn", body: []byte(body)}, 4)
	if o != answered {
		return
	}
	var res struct {
		Succeeded bool
		Revision  uint64
		Results   []struct{ Range *struct{ Items []listed } }
	}
	if err := json.Unmarshal(r.body, &res); err != nil {
		s.c.violated(fmt.Sprintf("a transaction was answered with %q: %v", r.body, err))
		return
	}
	s.claims.count(fmt.Sprintf("transaction %v", res.Succeeded))
	if !res.Succeeded && len(res.Results) == 1 && res.Results[0].Range != nil {
		s.claims.read(readClaim{at: res.Revision, prefix: "b/", found: versions(res.Results[0].Range.Items), who: "a transaction"})
	}
}

// balance is the amount in the value of an account.
func balance(v string) int {
	amount, _, _ := strings.Cut(v, "|")
	n, _ := strconv.Atoi(amount)
	return n
}

// judgeBank checks the sum of all accounts after a revision that touches one.
func judgeBank(state map[string]version, r *revision, at uint64, report func(string)) {
	touched := false
	for _, c := range r.changes {
		touched = touched || strings.HasPrefix(c.key, "b/")
	}
	if !touched {
		return
	}
	sum := 0
	for i := range accounts {
		sum += balance(state[fmt.Sprintf("b/%d", i)].value)
	}
	if sum != accounts*deposit {
		report(fmt.Sprintf("at revision %d the accounts hold %d, want %d", at, sum, accounts*deposit))
	}
}
