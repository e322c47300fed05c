package api

import "net/http"

// recorder remembers for the log what was answered.
type recorder struct {
	http.ResponseWriter
	status    int
	paymentID string
	code      string
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(body []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(body)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// note tells the log which payment an answer is about, and the code of an error.
func note(w http.ResponseWriter, paymentID, code string) {
	if r, ok := w.(*recorder); ok {
		r.paymentID, r.code = paymentID, code
	}
}

// muted lets headers through, and keeps the status and the body to itself.
type muted struct {
	http.ResponseWriter
	status int
}

func (m *muted) WriteHeader(status int)         { m.status = status }
func (m *muted) Write(body []byte) (int, error) { return len(body), nil }
