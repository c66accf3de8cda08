// Makes one call of each kind and prints one line for each.
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	dapr "github.com/dapr/go-sdk/client"
)

const store = "lockstore"

func main() {
	// The SDK logs to stdout.
	dapr.SetLogger(nil)
	client, err := dapr.NewClient()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	tryLock := func(store, resource, owner string, seconds int32) string {
		response, err := client.TryLockAlpha1(ctx, store, &dapr.LockRequest{
			ResourceID:      resource,
			LockOwner:       owner,
			ExpiryInSeconds: seconds,
		})
		if err != nil {
			return err.Error()
		}
		return fmt.Sprint(response.Success)
	}
	unlock := func(store, resource, owner string) string {
		response, err := client.UnlockAlpha1(ctx, store, &dapr.UnlockRequest{
			ResourceID: resource,
			LockOwner:  owner,
		})
		if err != nil {
			return err.Error()
		}
		return response.Status
	}

	fmt.Println("take:", tryLock(store, "order", "ann", 60))
	fmt.Println("take, other owner:", tryLock(store, "order", "bob", 60))
	fmt.Println("unlock, wrong owner:", unlock(store, "order", "bob"))
	fmt.Println("unlock:", unlock(store, "order", "ann"))
	fmt.Println("unlock again:", unlock(store, "order", "ann"))

	fmt.Println("take for a second:", tryLock(store, "order", "ann", 1))
	taken := tryLock(store, "order", "bob", 60)
	for taken == "false" && ctx.Err() == nil {
		time.Sleep(50 * time.Millisecond)
		taken = tryLock(store, "order", "bob", 60)
	}
	fmt.Println("take once expired:", taken)
	fmt.Println("unlock:", unlock(store, "order", "bob"))

	fmt.Println("take, no resource:", tryLock(store, "", "ann", 60))
	fmt.Println("take, no owner:", tryLock(store, "order", "", 60))
	fmt.Println("take, expiry 0:", tryLock(store, "order", "ann", 0))
	fmt.Println("take, no such store:", tryLock("nowhere", "order", "ann", 60))
	fmt.Println("take, bad resource:", tryLock(store, "a||b", "ann", 60))
	fmt.Println("unlock, no resource:", unlock(store, "", "ann"))
	fmt.Println("unlock, no owner:", unlock(store, "order", ""))
	fmt.Println("unlock, no such store:", unlock("nowhere", "order", "ann"))
	fmt.Println("unlock, bad resource:", unlock(store, "a||b", "ann"))
}
