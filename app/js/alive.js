// Whether a worker still lives. From its start to its end a worker holds a lock that has its own name.

/** Calls `then` once nobody holds the lock `name`. Where there are no locks (a page that is not secure) nobody can tell. */
export function whenFree(name, then) {
  navigator.locks?.request(name, () => then()).catch((error) => console.info("no watch over the engine:", error.message));
}
