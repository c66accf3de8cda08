// A call from its first step to its reply: the rules check it, the store takes the step, and the rules make the reply
// from the outcome.
import { begin, end } from "./rules.mjs";
import { acquire, extend, Failed, inspect, release } from "./store.mjs";

// The status and the body to answer with. `caller` has the `signal` that the caller left, and `later`, which
// keeps a promise going after the reply.
export async function call(verb, storeName, body, caller) {
  const begun = begin(verb, storeName, body);
  const answer = begun.tag === "answered" ? begun.val : end(verb, await outcome(verb, storeName, begun, caller));
  return answer.val.reply;
}

async function outcome(verb, storeName, { tag, val: step }, caller) {
  const owner = step.owner ?? crypto.randomUUID();
  try {
    switch (tag) {
      case "acquire": {
        const lease = await acquire(storeName, { ...step, owner }, caller);
        return verb === "acquire" ? { tag: "leased", val: lease } : { tag: "acquired", val: acquired(lease) };
      }
      case "release":
        return { tag: "released", val: await release(storeName, step) };
      case "extend":
        return { tag: "extended", val: await extend(storeName, step) };
      case "inspect":
        return { tag: "inspected", val: await inspect(storeName, step) };
    }
  } catch (problem) {
    if (!(problem instanceof Failed)) throw problem;
    return { tag: "failed", val: verb === "acquire" ? problem.naming(owner) : problem.failure };
  }
}

const acquired = (lease) => (lease === undefined ? { tag: "held" } : { tag: "granted", val: lease });
