-- GET of 1,000 keys in turn. The requests are made beforehand, so
-- that the load costs little beside what it measures.
local requests, n = {}, 0

function init()
  for i = 0, 999 do
    local path = string.format("/v1/kv/bench/%026d", i)
    requests[i] = wrk.format("GET", path)
  end
end

function request()
  n = (n + 1) % 1000
  return requests[n]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration,
    e.status + e.connect + e.read + e.write + e.timeout, latency:percentile(50), latency:percentile(99)))
end
