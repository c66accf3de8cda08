// Takes a lock and frees it again.
import { tryLock, unlock } from 'holdfast:lock/lock@0.1.0';

// A program that takes a lock more than once uses a new owner for each hold. This one takes it once, and has no
// random numbers.
const [store, resource, owner] = ['lockstore', 'greeting', 'hello-js'];

// A call that fails throws an Error, whose `payload` is the `error` of the contract. It traps the plugin.
export function run() {
  if (!tryLock(store, resource, owner, 60)) {
    return 'another owner holds the lock';
  }
  return `hello, the lock is mine\nunlock: ${unlock(store, resource, owner)}`;
}
