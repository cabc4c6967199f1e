// Which runs the tabs have in hand: a tab holds a lock for each run that it has begun or opened, as long as it lives. Where there are
// no locks (a page that is not secure) nobody can tell.

const PREFIX = "minibatch-run-";

/** Takes a run in hand, unless a tab has it already. */
export function takeRun(run) {
  const keep = (lock) => lock && new Promise(() => {});
  navigator.locks?.request(PREFIX + run, { ifAvailable: true }, keep).catch((error) => console.info("a run is not held:", error.message));
}

/** The numbers of the runs that any tab has in hand. */
export async function takenRuns() {
  const names = ((await navigator.locks?.query())?.held ?? []).map(({ name }) => name);
  return names.filter((name) => name.startsWith(PREFIX)).map((name) => Number(name.slice(PREFIX.length)));
}
