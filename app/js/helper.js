// A thread of the engine: runs its program over its memory, and of it only what a helper does (engine/src/cpu/team.rs).
import * as threads from "./threads.js";

self.onmessage = async ({ data: { program, memory, post, member, stack } }) => {
  threads.share(memory);
  // Of all that the engine calls a helper needs the numbers only.
  const imports = { "./js/threads.js": threads };
  for (const { module, name, kind } of WebAssembly.Module.imports(program)) {
    if (imports[module] === threads) continue;
    imports[module] ??= {};
    imports[module][name] = kind === "memory" ? memory : () => { throw new Error(`a helper has no ${name}`); };
  }
  const { exports } = await WebAssembly.instantiate(program, imports);
  exports.__stack_pointer.value = stack;
  try {
    exports.help(post, member);
  } catch (error) {
    exports.fail(post);
    throw error;
  }
};
