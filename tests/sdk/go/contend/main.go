// Reads resource ids from stdin, one a line, tries to lock each of them once, and prints true or false.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"

	dapr "github.com/dapr/go-sdk/client"
)

func main() {
	// The SDK logs to stdout.
	dapr.SetLogger(nil)
	client, err := dapr.NewClient()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		response, err := client.TryLockAlpha1(context.Background(), "lockstore", &dapr.LockRequest{
			ResourceID:      lines.Text(),
			LockOwner:       "go",
			ExpiryInSeconds: 60,
		})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(response.Success)
	}
}
