// Transpiles the lock component to JavaScript in `lock/`, as `jco transpile --instantiation sync` does. A Worker may
// not compile WebAssembly while it runs: it gets compiled core modules, and instantiates them itself.
import { transpile, writeFiles } from "@bytecodealliance/jco-transpile";

const { files } = await transpile(process.argv[2], {
  name: "lock",
  outDir: "lock",
  instantiation: "sync",
  // A failed call throws an Error whose `payload` is the `error` of the contract.
  noComponentErrorWrapping: false,
});
await writeFiles(files);
