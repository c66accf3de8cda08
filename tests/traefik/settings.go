package main

import (
	"errors"

	"github.com/traefik/paerser/file"
	"github.com/traefik/paerser/parser"
)

// wanted is a middleware in front of an upstream, with settings from one of Traefik's sources.
type wanted struct {
	// Upstream is its host and port.
	Upstream string
	// Patience is the time in milliseconds that the proxy waits for the upstream to begin its answer; 0 for no limit.
	Patience int
	// Fast asks for a proxy that reports a request as Traefik's fast proxy does: only that it was written.
	Fast bool
	// File is the text of a dynamic configuration in YAML.
	File string
	// Labels are those of a container.
	Labels map[string]string
	// Resource has the settings as a resource of Kubernetes has them.
	Resource map[string]any
	// TestData asks for the settings of the plugin's manifest.
	TestData bool
}

// configuration is a dynamic configuration, as far as its middlewares matter.
type configuration struct {
	HTTP *struct {
		Routers     map[string]any
		Services    map[string]any
		Middlewares map[string]*struct {
			Plugin map[string]map[string]any
		}
	}
}

// settings returns the settings of the plugin that the configuration names holdfast.
func (w wanted) settings(plugin *plugin) (map[string]any, error) {
	var read configuration
	var err error
	switch {
	case w.TestData:
		return plugin.manifest.TestData, nil
	case w.Resource != nil:
		return w.Resource, nil
	case w.Labels != nil:
		err = parser.Decode(w.Labels, &read, parser.DefaultRootName, "traefik.http")
	default:
		err = file.DecodeContent(w.File, ".yml", &read)
	}
	if err != nil {
		return nil, err
	}
	if read.HTTP != nil {
		for _, middleware := range read.HTTP.Middlewares {
			if settings, found := middleware.Plugin["holdfast"]; found {
				return settings, nil
			}
		}
	}
	return nil, errors.New("no middleware has the plugin")
}
