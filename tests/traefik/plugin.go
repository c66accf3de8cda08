package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"

	"github.com/mitchellh/mapstructure"
	"github.com/traefik/yaegi/interp"
	"github.com/traefik/yaegi/stdlib"
	"gopkg.in/yaml.v3"
)

// plugin is the plugin, interpreted.
type plugin struct {
	manifest     manifest
	createConfig reflect.Value
	create       reflect.Value
}

// manifest has the fields that Traefik reads from .traefik.yml.
type manifest struct {
	DisplayName string         `yaml:"displayName"`
	Type        string         `yaml:"type"`
	Import      string         `yaml:"import"`
	BasePkg     string         `yaml:"basePkg"`
	Summary     string         `yaml:"summary"`
	TestData    map[string]any `yaml:"testData"`
}

// interpret interprets the only plugin of a folder.
func interpret(plugins string, log io.Writer) (*plugin, error) {
	manifests, err := filepath.Glob(filepath.Join(plugins, "src", "*", "*", ".traefik.yml"))
	if err != nil || len(manifests) != 1 {
		return nil, fmt.Errorf("manifests in %s: %v %w", plugins, manifests, err)
	}
	text, err := os.ReadFile(manifests[0])
	if err != nil {
		return nil, err
	}
	p := &plugin{}
	if err := yaml.Unmarshal(text, &p.manifest); err != nil {
		return nil, err
	}
	module, err := filepath.Rel(filepath.Join(plugins, "src"), filepath.Dir(manifests[0]))
	if err != nil {
		return nil, err
	}
	if p.manifest.Type != "middleware" || p.manifest.Import != module || p.manifest.DisplayName == "" ||
		p.manifest.Summary == "" {
		return nil, fmt.Errorf("Traefik refuses this manifest of %s: %+v", module, p.manifest)
	}
	// Traefik's writers are no files, which the interpreter would take for the plugin's standard error.
	log = struct{ io.Writer }{log}
	interpreter := interp.New(interp.Options{GoPath: plugins, Env: os.Environ(), Stdout: log, Stderr: log})
	if err := interpreter.Use(stdlib.Symbols); err != nil {
		return nil, err
	}
	if _, err := interpreter.Eval(fmt.Sprintf("import %q", p.manifest.Import)); err != nil {
		return nil, err
	}
	if p.createConfig, err = interpreter.Eval(p.manifest.BasePkg + ".CreateConfig"); err != nil {
		return nil, err
	}
	p.create, err = interpreter.Eval(p.manifest.BasePkg + ".New")
	return p, err
}

// middleware returns a middleware with these settings in front of a handler.
func (p *plugin) middleware(next http.Handler, settings map[string]any) (http.Handler, error) {
	config := p.createConfig.Call(nil)[0]
	decoder, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		DecodeHook:       mapstructure.StringToSliceHookFunc(","),
		WeaklyTypedInput: true,
		Result:           config.Interface(),
	})
	if err != nil {
		return nil, err
	}
	if err := decoder.Decode(settings); err != nil {
		return nil, err
	}
	results := p.create.Call([]reflect.Value{
		reflect.ValueOf(context.Background()),
		reflect.ValueOf(next),
		config,
		reflect.ValueOf("one-at-a-time@file"),
	})
	if failure := results[1].Interface(); failure != nil {
		return nil, failure.(error)
	}
	return results[0].Interface().(http.Handler), nil
}
