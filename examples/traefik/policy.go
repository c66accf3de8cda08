package holdfast

import (
	"net/url"
	"strings"
	"time"
)

// policy holds the settings.
type policy struct {
	// address is a URL without a slash at its end.
	address string
	// token is empty if Holdfast needs none.
	token string
	// timeout is how long a call may take beyond its wait.
	timeout time.Duration
	// upstreamTimeout is how long Traefik waits for the upstream to begin its answer; 0 if that is not known.
	upstreamTimeout time.Duration
	matches         match
	store           string
	resource        template
	ttl             time.Duration
	wait            time.Duration
	// maxWaiting is how many requests wait for one lock at a time at most.
	maxWaiting int64
	fenced     bool
	// open lets requests pass without a lock when nobody knows who has it.
	open bool
	// keep leaves the lock to expire when the client leaves, or Traefik gives up, before the upstream has answered.
	keep    bool
	refused refusal
}

func readPolicy(settings map[string]interface{}) (*policy, error) {
	fields, err := field{value: settings}.fields("address", "token", "timeout", "upstreamTimeout", "match", "store",
		"resource", "ttl", "wait", "maxWaiting", "fenced", "inDoubt", "onClientGone", "refused")
	if err != nil {
		return nil, err
	}
	p := &policy{}
	if p.address, err = readAddress(fields["address"]); err != nil {
		return nil, err
	}
	if p.token, err = fields["token"].asciiOr(""); err != nil {
		return nil, err
	}
	if p.timeout, err = fields["timeout"].positiveTime(time.Second); err != nil {
		return nil, err
	}
	if p.upstreamTimeout, err = fields["upstreamTimeout"].timeOr(0); err != nil {
		return nil, err
	}
	if p.matches, err = readMatch(fields["match"]); err != nil {
		return nil, err
	}
	if p.store, err = fields["store"].required(); err != nil {
		return nil, err
	}
	if p.resource, err = readTemplate(fields["resource"]); err != nil {
		return nil, err
	}
	if p.ttl, err = fields["ttl"].positiveTime(0); err != nil {
		return nil, err
	}
	if p.wait, err = fields["wait"].timeOr(0); err != nil {
		return nil, err
	}
	if p.maxWaiting, err = fields["maxWaiting"].numberOr(1000); err != nil {
		return nil, err
	}
	if p.maxWaiting < 1 {
		return nil, fields["maxWaiting"].flaw("must be at least 1")
	}
	if p.fenced, err = fields["fenced"].flagOr(false); err != nil {
		return nil, err
	}
	inDoubt, err := fields["inDoubt"].oneOf("closed", "open")
	if err != nil {
		return nil, err
	}
	p.open = inDoubt == "open"
	onClientGone, err := fields["onClientGone"].oneOf("keep", "free")
	if err != nil {
		return nil, err
	}
	p.keep = onClientGone == "keep"
	p.refused, err = readRefusal(fields["refused"])
	return p, err
}

// readAddress reads the URL of Holdfast, which may have a path.
func readAddress(f field) (string, error) {
	text, err := f.required()
	if err != nil {
		return "", err
	}
	address, err := url.Parse(text)
	if err != nil || address.Scheme != "http" && address.Scheme != "https" || address.Hostname() == "" ||
		address.User != nil || address.RawQuery != "" || address.Fragment != "" {
		return "", f.flaw("must be a URL such as http://127.0.0.1:3500")
	}
	return strings.TrimRight(text, "/"), nil
}
