// Turns the lock component into JavaScript below `lock/`, as `jco transpile` does, with its store from
// `store.mjs`.
import { transpile, writeFiles } from "@bytecodealliance/jco-transpile";

const map = { "holdfast:lock/store": "../store.mjs" };
const { files } = await transpile(process.argv[2], {
  name: "lock",
  outDir: "lock",
  map,
  // What a call throws is an Error, whose `payload` is the contract's `error`.
  noComponentErrorWrapping: false,
});
await writeFiles(files);
