// Calls the lock component and prints each result.
import { setTimeout } from "node:timers/promises";
import { lock } from "./lock/lock.js";

console.log("alice takes it:", lock.tryLock("lockstore", "file", "alice", 60));
console.log("bob tries:", lock.tryLock("lockstore", "file", "bob", 60));
console.log("bob unlocks:", lock.unlock("lockstore", "file", "bob"));
console.log("alice unlocks:", lock.unlock("lockstore", "file", "alice"));
console.log("alice unlocks again:", lock.unlock("lockstore", "file", "alice"));
try {
  lock.tryLock("lockstore", "", "alice", 60);
} catch (error) {
  console.log(`no resource: ${error.payload.tag}: ${error.payload.val}`);
}
console.log("alice takes it for a second:", lock.tryLock("lockstore", "file", "alice", 1));
await setTimeout(1100);
console.log("bob takes it afterwards:", lock.tryLock("lockstore", "file", "bob", 60));
