// Transpiles the lock component to JavaScript in `lock/`, as `jco transpile` does, with `store.mjs` as its
// store.
import { transpile, writeFiles } from "@bytecodealliance/jco-transpile";

const map = { "holdfast:lock/store": "../store.mjs" };
const { files } = await transpile(process.argv[2], {
  name: "lock",
  outDir: "lock",
  map,
  // A failed call throws an Error whose `payload` is the `error` of the contract.
  noComponentErrorWrapping: false,
});
await writeFiles(files);
