package main

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// proxy forwards requests to an upstream, whose answer must begin within some milliseconds, if that is not 0. It cancels a
// request whose client leaves, and answers one whose upstream fails, as Traefik's does. A request with the header Linger
// is one of a proxy that is slow to return: not before its client has left.
func proxy(upstream string, milliseconds int) http.Handler {
	forward := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: upstream})
	patience := time.Duration(milliseconds) * time.Millisecond
	forward.Transport = &http.Transport{MaxIdleConnsPerHost: 64, ResponseHeaderTimeout: patience}
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
	told := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Path
		logger.Printf("came: %s", name)
		defer func() { logger.Printf("done: %s", name) }()
		handler.ServeHTTP(w, r)
	})
	server := &http.Server{Handler: told, ErrorLog: logger}
	go func() { logger.Print(server.Serve(listener)) }()
	return listener.Addr().String(), nil
}
