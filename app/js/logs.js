// A run as a file for another tool. The program that writes such files (logs/) is fetched when the first one is asked for.
let program;

async function start() {
  const logs = await import("./logs-program.js");
  await logs.default();
  return logs;
}

/** The file's bytes. `ending` says which; `run` and `figures` are JSON. In an archive for TensorBoard the run is a folder. */
export async function logged(ending, run, figures, link, folder) {
  // What could not be fetched is asked for again.
  program ??= start().catch((error) => {
    program = undefined;
    throw error;
  });
  const logs = await program;
  return ending === ".parquet" ? logs.parquet(run, figures, link) : logs.tensorboard(run, figures, link, folder, Date.now());
}
