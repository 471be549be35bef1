package clustertest

import (
	"sync"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// moments calls functions when a member logs something: the moments in the
// middle of a change that a test cannot hit by waiting.
type moments struct {
	zapcore.LevelEnabler
	with map[string]any // fields, of the member and of the entry
	s    *scenes
}

type scenes struct {
	mu sync.Mutex
	at map[string]func(fields map[string]any)
}

func newScenes() *scenes { return &scenes{at: make(map[string]func(map[string]any))} }

// on has f called each time when a member logs msg, on the goroutine that logs.
func (s *scenes) on(msg string, f func(fields map[string]any)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at[msg] = f
}

func (s *scenes) logger() *zap.Logger {
	return zap.New(&moments{LevelEnabler: zapcore.InfoLevel, s: s})
}

func (m *moments) With(fields []zapcore.Field) zapcore.Core {
	return &moments{m.LevelEnabler, m.fields(fields), m.s}
}

func (m *moments) fields(fields []zapcore.Field) map[string]any {
	enc := zapcore.NewMapObjectEncoder()
	for k, v := range m.with {
		enc.Fields[k] = v
	}
	for _, f := range fields {
		f.AddTo(enc)
	}
	return enc.Fields
}

func (m *moments) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !m.Enabled(e.Level) {
		return ce
	}
	return ce.AddCore(e, m)
}

func (m *moments) Write(e zapcore.Entry, fields []zapcore.Field) error {
	m.s.mu.Lock()
	f := m.s.at[e.Message]
	m.s.mu.Unlock()
	if f != nil {
		f(m.fields(fields))
	}
	return nil
}

func (m *moments) Sync() error { return nil }

// onceJoint calls f, on a goroutine of its own, when the leader has entered a
// joint configuration.
func (s *scenes) onceJoint(c *Cluster, f func(leader *Member)) {
	var once sync.Once
	s.on("membership changed", func(fields map[string]any) {
		m := c.Member(fields["member"].(uint64))
		if out, _ := fields["outgoing"].([]any); len(out) > 0 && m.Node().Leads() {
			once.Do(func() { go f(m) })
		}
	})
}
