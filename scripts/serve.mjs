// node scripts/serve.mjs [port]: serves dist/ at http://127.0.0.1:8080/.
import { serve } from "./static-server.mjs";

const { url } = await serve("dist", { port: Number(process.argv[2] ?? 8080) });
console.log(`Minibatch is at ${url} (Ctrl-C ends)`);
