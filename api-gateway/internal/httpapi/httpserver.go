package httpapi

import (
	"log/slog"
	"net/http"
	"time"
)

// Timeouts of the public server. A slow client keeps its request open for no longer than these.
const (
	// readHeaderTimeout also bounds the handshake.
	readHeaderTimeout = 5 * time.Second
	// readTimeout is for the headers and the body, which has a deadline of its own: see bodyTimeout.
	readTimeout = 10 * time.Second
	// writeTimeout is from the end of the headers to the end of the answer: the longest operation (10 s), and as much again
	// for a slow reader.
	writeTimeout = 20 * time.Second
	// idleTimeout is longer than the 60 s after which most load balancers drop an idle connection, so that it is not us who
	// close one that is just being used.
	idleTimeout = 75 * time.Second
)

const (
	// maxHeaders is the contract's limit for the target and the fields of a request: tokens and tags need a tenth of it.
	// Beyond it a client is told so in a problem; beyond twice that, by net/http in a plain text.
	maxHeaders     = 32 << 10
	maxHeaderBytes = 2 * maxHeaders
)

// Limits of HTTP/2, by connection. Streams beyond the limit are refused before a handler sees them, and a client that opens
// and resets them faster than their handlers end (rapid reset) is disconnected by net/http: a handler counts as running until
// it returns, whatever became of its stream.
const (
	maxStreams = 32
	// Flow control: what a client may have sent that nobody has read yet.
	maxStreamBuffer     = 64 << 10
	maxConnectionBuffer = 256 << 10
	// A peer that is gone without a word, or answers no ping, is let go after both of them.
	pingAfter   = 30 * time.Second
	pingTimeout = 10 * time.Second
)

// HTTPServer returns the server for the public port: HTTP/1.1 and HTTP/2, the latter by TLS or with prior knowledge.
func (s *Server) HTTPServer() *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           s,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		Protocols:         protocols,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          maxStreams,
			MaxReceiveBufferPerStream:     maxStreamBuffer,
			MaxReceiveBufferPerConnection: maxConnectionBuffer,
			SendPingTimeout:               pingAfter,
			PingTimeout:                   pingTimeout,
			WriteByteTimeout:              writeTimeout,
		},
		// Else net/http answers OPTIONS * by itself, without the fields that every answer of ours bears.
		DisableGeneralOptionsHandler: true,
		// Handshakes that fail, and little else: anybody can make as many of these lines as it likes.
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}
