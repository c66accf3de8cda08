package holdfast

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

// refusal is the response to a request that may not go on.
type refusal struct {
	status int
	// retryAfter is in seconds; 0 without the header.
	retryAfter  int64
	contentType string
	body        string
}

func readRefusal(f field) (refusal, error) {
	fields, err := f.fields("status", "retryAfter", "contentType", "body")
	if err != nil {
		return refusal{}, err
	}
	status, err := fields["status"].numberOr(http.StatusServiceUnavailable)
	if err != nil {
		return refusal{}, err
	}
	if status < 400 || status > 599 {
		return refusal{}, fields["status"].flaw("must be from 400 to 599")
	}
	r := refusal{status: int(status)}
	if r.contentType, err = fields["contentType"].asciiOr("text/plain"); err != nil {
		return refusal{}, err
	}
	retryAfter, err := fields["retryAfter"].timeOr(time.Second)
	if err != nil {
		return refusal{}, err
	}
	r.retryAfter = int64((retryAfter + time.Second - 1) / time.Second)
	r.body, err = fields["body"].textOr("the lock is not free: try again later\n")
	return r, err
}

func (r refusal) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", r.contentType)
	if r.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(r.retryAfter, 10))
	}
	w.WriteHeader(r.status)
	// If this fails, the client has left.
	_, _ = io.WriteString(w, r.body)
}
