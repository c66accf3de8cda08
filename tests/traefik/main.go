// The part of Traefik that a plugin sees: this program interprets the plugin with Traefik's interpreter, reads its
// settings with Traefik's parsers, and serves it in front of a reverse proxy.
//
//	traefik PLUGINS LOG
//
// PLUGINS is a folder like Traefik's plugins-local. For each line of the standard input, which is a JSON object as in
// settings.go, a line is printed: the address of a server, or "error: " and why there is none. LOG is the file for the
// plugin's log, with a line when a request comes and one when it is done.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
)

func main() {
	file, err := os.OpenFile(os.Args[2], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	plugin, err := interpret(os.Args[1], file)
	if err != nil {
		log.Fatal(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		address, err := serve(plugin, lines.Bytes(), log.New(file, "", 0))
		if err != nil {
			fmt.Println("error:", err)
			continue
		}
		fmt.Println(address)
	}
}

func serve(plugin *plugin, line []byte, logger *log.Logger) (string, error) {
	var wanted wanted
	if err := json.Unmarshal(line, &wanted); err != nil {
		return "", err
	}
	settings, err := wanted.settings(plugin)
	if err != nil {
		return "", err
	}
	handler, err := plugin.middleware(proxy(wanted), settings)
	if err != nil {
		return "", err
	}
	return listen(handler, logger)
}
