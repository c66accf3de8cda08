package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"time"
)

// fast asks an upstream as Traefik's fast proxy does.
type fast struct {
	http.RoundTripper
}

func (f fast) RoundTrip(request *http.Request) (*http.Response, error) {
	untold, cancel := context.WithCancel(context.Background())
	context.AfterFunc(request.Context(), cancel)
	if trace := httptrace.ContextClientTrace(request.Context()); trace != nil {
		trace.WroteRequest(httptrace.WroteRequestInfo{})
	}
	return f.RoundTripper.RoundTrip(request.Clone(untold))
}

// proxy forwards requests to an upstream. It cancels a request whose client leaves, and answers a request whose
// upstream fails, as Traefik's does. For a request with the header Linger, the proxy returns only after the client has
// left.
func proxy(wanted wanted) http.Handler {
	forward := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: wanted.Upstream})
	patience := time.Duration(wanted.Patience) * time.Millisecond
	forward.Transport = &http.Transport{MaxIdleConnsPerHost: 64, ResponseHeaderTimeout: patience}
	if wanted.Fast {
		forward.Transport = fast{forward.Transport}
	}
	forward.ErrorLog = log.New(io.Discard, "", 0)
	forward.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err error) {
		var failure net.Error
		if errors.As(err, &failure) && failure.Timeout() {
			w.WriteHeader(http.StatusGatewayTimeout)
		} else {
			w.WriteHeader(http.StatusBadGateway)
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		forward.ServeHTTP(w, r)
		if r.Header.Get("Linger") != "" {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	})
}

// listen serves a handler on a free port, and returns its address.
func listen(handler http.Handler, logger *log.Logger) (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	logged := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Path
		logger.Printf("came: %s", name)
		defer func() { logger.Printf("done: %s", name) }()
		handler.ServeHTTP(w, r)
	})
	server := &http.Server{Handler: logged, ErrorLog: logger}
	go func() { logger.Print(server.Serve(listener)) }()
	return listener.Addr().String(), nil
}
