package holdfast

import "sync"

// crowd counts the requests that wait or ask for each lock.
type crowd struct {
	lock    sync.Mutex
	waiting map[string]int64
}

func newCrowd() *crowd {
	return &crowd{waiting: make(map[string]int64)}
}

// join takes a place for one more request that wants this resource, if fewer than most wait. leave gives it back.
func (c *crowd) join(resource string, most int64) bool {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.waiting[resource] >= most {
		return false
	}
	c.waiting[resource] = c.waiting[resource] + 1
	return true
}

func (c *crowd) leave(resource string) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.waiting[resource] > 1 {
		c.waiting[resource] = c.waiting[resource] - 1
	} else {
		delete(c.waiting, resource)
	}
}
