package measure

import (
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shop.example/deploy/local/runner"
)

func TestRecorderCountsBetweenBeginAndEnd(t *testing.T) {
	t.Parallel()
	r := NewRecorder()
	r.Record("read", time.Hour, "") // the warm-up
	r.Begin()
	for i := range 100 {
		r.Record("read", time.Duration(100-i)*time.Millisecond, "")
	}
	r.Record("read", time.Hour, "503 dependency_unavailable")
	r.Record("read", time.Hour, "503 dependency_unavailable")
	r.Record("read", time.Hour, "no answer")
	r.Record("buy", time.Second, "")
	got := r.End()
	r.Record("read", time.Hour, "")

	want := []Kind{
		{Name: "buy", Done: 1, P50: time.Second, P99: time.Second, Max: time.Second},
		{Name: "read", Done: 100, P50: 50 * time.Millisecond, P99: 99 * time.Millisecond, Max: 100 * time.Millisecond,
			Failures: []Failure{{"503 dependency_unavailable", 2}, {"no answer", 1}}},
	}
	if diff := cmp.Diff(want, got.Kinds); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	if got.Done("") != 101 || got.Done("buy") != 1 || got.Done("sell") != 0 {
		t.Errorf("done: %d in all, %d of buy, %d of sell", got.Done(""), got.Done("buy"), got.Done("sell"))
	}
}

func TestPercentileOfFew(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sorted  []time.Duration
		percent int
		want    time.Duration
	}{
		{nil, 50, 0}, {[]time.Duration{7}, 50, 7}, {[]time.Duration{7}, 99, 7}, {[]time.Duration{1, 2}, 50, 1}, {[]time.Duration{1, 2}, 99, 2},
		{[]time.Duration{1, 2, 3}, 50, 2},
	} {
		if got := percentile(c.sorted, c.percent); got != c.want {
			t.Errorf("p%d of %v: got %d, want %d", c.percent, c.sorted, got, c.want)
		}
	}
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	const line = "42 (a (mad) name) S 7 42 42 0 -1 4194560 1 2 3 4 100 20 3 1 20 0 5 0 999 1 1"
	pid, p, err := parseStat(line)
	if want := (process{parent: 7, used: 1240 * time.Millisecond}); err != nil || pid != 42 || p != want {
		t.Errorf("got %d %+v, %v", pid, p, err)
	}
	for _, bad := range []string{"", "42 name S 7", "42 (name) S 7 1", "x (name) S 7 42 42 0 -1 0 1 2 3 4 100 20 3 1", "42 (name) S 7 42 42 0 -1 0 1 2 3 4 a 20 3 1"} {
		if _, _, err := parseStat(bad); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

func TestFamilyIsAllDescendants(t *testing.T) {
	t.Parallel()
	all := processes{1: {0, 1}, 10: {1, 2}, 11: {10, 4}, 12: {11, 8}, 20: {1, 16}}
	for pid, want := range map[int]time.Duration{10: 14, 20: 16, 99: 0, 0: 0} {
		if got := all.family(pid); got != want {
			t.Errorf("family of %d: got %d, want %d", pid, got, want)
		}
	}
}

func TestCPUOfThisProcess(t *testing.T) {
	t.Parallel()
	used, err := cpu([]runner.Process{{Name: "me", PID: os.Getpid()}, {Name: "down"}})
	if err != nil {
		t.Skip(err) // not on Linux
	}
	if used["me"] < used[Self] || used["down"] != 0 {
		t.Errorf("used: %v", used)
	}
}

func TestParseRPCs(t *testing.T) {
	t.Parallel()
	got, err := parseRPCs(strings.NewReader(`# TYPE rpc_server_call_duration_seconds histogram
rpc_server_call_duration_seconds_bucket{rpc_method="a.v1.A/Get",rpc_response_status_code="OK",le="0.005"} 3
rpc_server_call_duration_seconds_count{rpc_method="a.v1.A/Get",rpc_response_status_code="OK"} 3
rpc_server_call_duration_seconds_count{rpc_method="a.v1.A/Get",rpc_response_status_code="NOT_FOUND"} 2
rpc_server_call_duration_seconds_count{rpc_method="a.v1.A/Put",rpc_response_status_code="OK"} 1e+06
rpc_client_call_duration_seconds_count{rpc_method="b.v1.B/Get",rpc_response_status_code="OK"} 9
`))
	if diff := cmp.Diff(map[string]int64{"a.v1.A/Get": 5, "a.v1.A/Put": 1_000_000}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestSince(t *testing.T) {
	t.Parallel()
	before := Counters{
		CPU: map[string]time.Duration{"a": 5, "b": 9}, Transactions: map[string]int64{"orders": 10},
		RPCs: map[string]map[string]int64{"a": {"Get": 3}}, WAL: WAL{Syncs: 1, Bytes: 100},
	}
	after := Counters{
		CPU: map[string]time.Duration{"a": 7, "b": 1}, Transactions: map[string]int64{"orders": 30}, // b was started again
		RPCs: map[string]map[string]int64{"a": {"Get": 4, "Put": 2}, "c": {"Get": 1}}, WAL: WAL{Syncs: 5, Bytes: 300},
	}
	want := Counters{
		CPU: map[string]time.Duration{"a": 2, "b": 1}, Transactions: map[string]int64{"orders": 20},
		RPCs: map[string]map[string]int64{"a": {"Get": 1, "Put": 2}, "c": {"Get": 1}}, WAL: WAL{Syncs: 4, Bytes: 200},
	}
	if diff := cmp.Diff(want, after.Since(before)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReportDividesByTheUnit(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	r := Report{
		Unit: "order", Per: "place order",
		Requests: Requests{Length: 10 * time.Second, Kinds: []Kind{
			{Name: "place order", Done: 200, Failures: []Failure{{"409 out_of_stock", 3}}}, {Name: "read order", Done: 150},
		}},
		Shop: Counters{
			CPU:          map[string]time.Duration{"order-service": 4 * time.Second},
			Transactions: map[string]int64{"orders": 1000}, WAL: WAL{Syncs: 500, Bytes: 200 * 1024},
			RPCs: map[string]map[string]int64{"product-service": {"a.v1.A/Reserve": 200, "a.v1.A/Rare": 1}, "cart-service": nil},
		},
	}
	if err := r.Print(&out); err != nil {
		t.Fatal(err)
	}
	lines := map[string]bool{}
	for line := range strings.Lines(out.String()) {
		lines[strings.Join(strings.Fields(line), " ")] = true
	}
	for _, want := range []string{
		"place order 200 20.0 0.0 0.0 0.0", "all 350 35.0", "place order: 409 out_of_stock 3", "order-service 20.00 0.40",
		"transactions of orders, reads too 5.00 100", "WAL fsyncs, all databases 2.50 50", "WAL KiB, all databases 1.0 20",
		"a.v1.A/Reserve 1.00", "product-service in all 1.00",
	} {
		if !lines[want] {
			t.Errorf("there is no line %q in:\n%s", want, &out)
		}
	}
	for line := range maps.Keys(lines) {
		if strings.Contains(line, "Rare") {
			t.Errorf("a seldom call has a line: %q", line)
		}
	}
}
