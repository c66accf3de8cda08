// The rules of the lock: the component's `steps`. A Worker has one instance, which keeps nothing between two steps.
import { instantiate } from "../lock/lock.js";
import core from "../lock/lock.core.wasm";
import core2 from "../lock/lock.core2.wasm";
import core3 from "../lock/lock.core3.wasm";
import { appId, keyPrefix, storeNames } from "./settings.mjs";

const CORES = { "lock.core.wasm": core, "lock.core2.wasm": core2, "lock.core3.wasm": core3 };

const SCOPE = 0;

const FORM = "json";

// The imports of the component. No step calls them.
const unused = () => {
  throw new Error("a step calls no store");
};
const store = Object.fromEntries(
  ["stores", "freshOwner", "acquire", "release", "extend", "inspect"].map((name) => [name, unused]),
);

let steps = started();

function started() {
  const { steps } = instantiate((name) => CORES[name], { "holdfast:lock/store": store });
  try {
    steps.configure(SCOPE, storeNames.map((name) => ({ name, keyPrefix, appId })));
  } catch (refused) {
    throw new Error(`APP_ID, KEY_PREFIX or the name of a store: ${refused.payload}`);
  }
  return steps;
}

// Checks a call: the step that its store has to take, or the answer at once.
export function begin(verb, storeName, body) {
  const position = storeNames.indexOf(storeName);
  const chosen = position < 0 ? { tag: "unknown", val: storeName } : { tag: "configured", val: position };
  return guarded(() => steps.begin(SCOPE, chosen, { tag: "json", val: { verb, body } }));
}

// The answer to a call, from the outcome in its store.
export const end = (verb, outcome) => guarded(() => steps.end(verb, FORM, outcome));

// An instance that trapped never works again.
function guarded(step) {
  try {
    return step();
  } catch (trap) {
    steps = started();
    throw trap;
  }
}
