package grpcserver

import (
	"strings"

	"google.golang.org/grpc/stats"
)

// notHealth keeps health checks out of the traces and metrics: they would be most of both.
func notHealth(info *stats.RPCTagInfo) bool {
	return !strings.HasPrefix(info.FullMethodName, healthPrefix)
}
