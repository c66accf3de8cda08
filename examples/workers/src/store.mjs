// The store of the rules, as a Worker sees it: a Durable Object for each key of each store.
import { env } from "cloudflare:workers";

// Clocks drift apart by 1 part in this many.
const DRIFT = 1000;

const RAN_OUT = "the lock ran out before the reply came";

// Why a call has no outcome, in the form of the contract.
export class Failed extends Error {
  constructor(failure) {
    super(failure.val.cause ?? failure.val);
    this.failure = failure;
  }

  // Names the owner for a caller that may not know it, and needs it to release a lock that it may hold.
  naming(owner) {
    const { tag, val } = this.failure;
    if (tag !== "unknown") return this.failure;
    return { tag, val: { ...val, cause: `${val.cause} (the owner is ${owner})` } };
  }

  static notDone(cause) {
    return new Failed({ tag: "not-done", val: cause });
  }
}

const object = (storeName, key) => env.LOCKS.getByName(JSON.stringify([storeName, key]));

// Takes a lock, and waits for it if the step says so. `undefined`: the lock was held all the time.
export async function acquire(storeName, step, { signal, later }) {
  if (signal.aborted) throw Failed.notDone("the caller has left");
  const { key, owner, fenced } = step;
  const [ttl, wait] = [Number(step.ttl), Number(step.wait)];
  const lock = object(storeName, key);
  // The ticket identifies the grant to this call, so that no other grant is given back.
  const ticket = crypto.randomUUID();
  const left = () => later(lock.leave(ticket));
  signal.addEventListener("abort", left);
  const sent = Date.now();
  let answer;
  try {
    answer = await lock.acquire({ owner, ttl, wait, fenced, ticket });
  } catch (problem) {
    // An object that failed is looked up again.
    later(leave(storeName, key, ticket));
    throw failed(problem, Date.now() + ttl);
  } finally {
    signal.removeEventListener("abort", left);
  }
  if (answer.refused !== undefined) throw Failed.notDone(answer.refused);
  if (answer.held) return undefined;
  const { number, waited } = answer;
  // All the time that the call took, but for its wait, may have passed since the grant.
  const validFor = surely(ttl - (Date.now() - sent - waited), waited);
  if (validFor < 1) throw Failed.notDone(RAN_OUT);
  const fencingToken = number === undefined ? undefined : BigInt(number);
  return { owner, fencingToken, validFor: BigInt(validFor), ticket };
}

// Gives back the grant of a ticket.
export const leave = (storeName, key, ticket) => object(storeName, key).leave(ticket);

export async function release(storeName, { key, owner }) {
  return await asked(object(storeName, key).release(owner));
}

export async function extend(storeName, { key, owner, ttl, mayShorten }) {
  const sent = Date.now();
  const { status, timeLeft } = await asked(object(storeName, key).extend({ owner, ttl: Number(ttl), mayShorten }));
  if (status !== "extended") return { tag: status };
  const validFor = surely(timeLeft - (Date.now() - sent), 0);
  return validFor < 1 ? { tag: "gone" } : { tag: "extended", val: BigInt(validFor) };
}

export async function inspect(storeName, { key }) {
  const holding = await asked(object(storeName, key).inspect());
  if (holding === undefined) return undefined;
  const { owner, timeLeft, number } = holding;
  return { owner, timeLeft: BigInt(timeLeft), fencingToken: number === undefined ? undefined : BigInt(number) };
}

// How much of a time is surely left, in whole milliseconds. The clock that counted `waited` was the object's.
const surely = (left, waited) => Math.floor(left - (Math.max(0, left) + waited) / DRIFT - 1);

async function asked(answer) {
  try {
    return await answer;
  } catch (problem) {
    throw failed(problem);
  }
}

function failed(problem, heldUntil) {
  const cause = `the Durable Object of the lock: ${problem.message}`;
  // An overloaded object has not begun the call.
  if (problem.overloaded) return Failed.notDone(cause);
  return new Failed({ tag: "unknown", val: { cause, heldUntil: heldUntil && BigInt(heldUntil) } });
}
