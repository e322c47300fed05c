package measure

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
)

// answeredSeries is the count of calls that a server has answered, as OpenTelemetry names it.
var answeredSeries = regexp.MustCompile(`^rpc_server_call_duration_seconds_count\{.*\brpc_method="([^"]+)".*\} (\S+)`)

// rpcs asks a process how many calls it has answered, by method.
func rpcs(ctx context.Context, admin string) (map[string]int64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %d", request.URL, response.StatusCode)
	}
	return parseRPCs(response.Body)
}

func parseRPCs(metrics io.Reader) (map[string]int64, error) {
	answered := map[string]int64{}
	lines := bufio.NewScanner(metrics)
	for lines.Scan() {
		found := answeredSeries.FindStringSubmatch(lines.Text())
		if found == nil {
			continue
		}
		n, err := strconv.ParseFloat(found[2], 64)
		if err != nil {
			return nil, fmt.Errorf("read %q: %w", found[0], err)
		}
		answered[found[1]] += int64(n)
	}
	return answered, lines.Err()
}
