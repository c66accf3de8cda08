package holdfast

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxReply is how much of an answer is read, in bytes; maxQuoted is how much of one is logged.
const (
	maxReply  = 64 * 1024
	maxQuoted = 200
)

// locks calls Holdfast.
type locks struct {
	policy *policy
	// url is that of the calls about leases of the store.
	url    string
	client *http.Client
}

// grant is the answer to an acquire.
type grant struct {
	Success      *bool  `json:"success"`
	FencingToken string `json:"fencingToken"`
}

func newLocks(p *policy) *locks {
	transport := &http.Transport{
		MaxIdleConnsPerHost: 64,
		// Holdfast closes idle connections later. A call on one that it closes would be in doubt.
		IdleConnTimeout: 30 * time.Second,
	}
	client := &http.Client{
		Transport: transport,
		// A redirection is not an answer, and no other server may get the token.
		CheckRedirect: func(request *http.Request, before []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &locks{policy: p, url: p.address + "/v1.0/leases/" + url.PathEscape(p.store) + "/", client: client}
}

// newOwner returns an owner that nobody can guess, for one try.
func newOwner() (string, error) {
	owner := make([]byte, 16)
	if _, err := rand.Read(owner); err != nil {
		return "", err
	}
	return hex.EncodeToString(owner), nil
}

// acquire returns whether the lock was taken, and its fencing token if the settings ask for one. After an error it is
// unknown whether the lock was taken.
func (l *locks) acquire(ctx context.Context, resource, owner string) (bool, string, error) {
	body := map[string]interface{}{"resourceId": resource, "lockOwner": owner, "ttl": seconds(l.policy.ttl)}
	if l.policy.wait > 0 {
		body["wait"] = seconds(l.policy.wait)
	}
	if l.policy.fenced {
		body["fenced"] = true
	}
	ctx, cancel := context.WithTimeout(ctx, l.policy.wait+l.policy.timeout)
	defer cancel()
	reply, status, err := l.post(ctx, "acquire", body, false)
	if err != nil {
		return false, "", err
	}
	if status != http.StatusOK {
		return false, "", unwanted(status, reply)
	}
	var answered grant
	if err := json.Unmarshal(reply, &answered); err != nil || answered.Success == nil {
		return false, "", errors.New("an answer that is not one to this request: " + quoted(reply))
	}
	if *answered.Success && l.policy.fenced && answered.FencingToken == "" {
		return false, "", errors.New("an answer without a fencing token")
	}
	return *answered.Success, answered.FencingToken, nil
}

// release frees the lock if this owner has it. The request that it was taken for may have ended, so its time is
// bounded by the settings alone. It returns whether another try may succeed, and the error.
func (l *locks) release(resource, owner string) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), l.policy.timeout)
	defer cancel()
	body := map[string]interface{}{"resourceId": resource, "lockOwner": owner}
	reply, status, err := l.post(ctx, "release", body, true)
	if err != nil {
		return true, err
	}
	if status != http.StatusOK {
		mayPass := status >= 500 || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests
		return mayPass, unwanted(status, reply)
	}
	return false, nil
}

// post makes a call and returns the body and the status of its answer. If it may be repeated, it is sent again if the
// connection turns out to be closed.
func (l *locks) post(ctx context.Context, verb string, body map[string]interface{}, repeatable bool) ([]byte, int, error) {
	sent, err := json.Marshal(body)
	if err != nil {
		return nil, 0, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url+verb, bytes.NewReader(sent))
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	if l.policy.token != "" {
		request.Header.Set("dapr-api-token", l.policy.token)
	}
	if repeatable {
		// Go's client takes this as a permission to retry, and does not send a header without a value.
		request.Header["Idempotency-Key"] = []string{}
	}
	response, err := l.client.Do(request)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = response.Body.Close() }()
	reply, err := io.ReadAll(io.LimitReader(response.Body, maxReply))
	return reply, response.StatusCode, err
}

// unwanted returns the error for an answer whose status is not 200.
func unwanted(status int, reply []byte) error {
	return fmt.Errorf("status %d %s", status, quoted(reply))
}

func quoted(reply []byte) string {
	if len(reply) > maxQuoted {
		reply = reply[:maxQuoted]
	}
	return strings.TrimSpace(strings.ToValidUTF8(string(reply), "?"))
}

// seconds writes a time as Holdfast reads it.
func seconds(duration time.Duration) string {
	milliseconds := int64(duration / time.Millisecond)
	return fmt.Sprintf("%d.%03ds", milliseconds/1_000, milliseconds%1_000)
}
