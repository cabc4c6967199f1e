// node scripts/serve.mjs [port]: serves dist/ at http://127.0.0.1:8080/.
import { serve } from "./static-server.mjs";

try {
  const { url } = await serve("dist", { port: Number(process.argv[2] ?? 8080) });
  console.log(`Minibatch is at ${url} (Ctrl-C ends)`);
} catch (error) {
  const why = error.code === "EADDRINUSE" ? `port ${error.port} is taken; give another: node scripts/serve.mjs 8081` : error.message;
  console.error(`cannot serve dist/: ${why}`);
  process.exit(1);
}
