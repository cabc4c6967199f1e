// Makes the lab work offline after the first load.
//
// The build lists every file of its dist/ here with a hash of its content. A cached answer is stored under the
// file's address plus that hash, so a new build reuses what has not changed and can never serve what has.
const FILES = new Map([/* files */]);
const CACHE = "minibatch";
// Data packs are large: all but the default preset's are stored when first used, or when the page asks for all.
const LATER = /^data\/(?!mnist)/;
// The program with the studies, and data that a study alone reads, are stored when studies are first used: a page without
// them fetches none of it.
const ON_USE = /studies-worker|^data\/packages/;

const scope = new URL(self.registration.scope);
/** The file's name in FILES, or undefined for anything that is not this build's. */
const nameOf = (url) => {
  const { origin, pathname, search } = new URL(url);
  if (origin !== scope.origin || !pathname.startsWith(scope.pathname)) return undefined;
  const name = pathname.slice(scope.pathname.length) + search;
  return FILES.has(name) ? name : undefined;
};
const keyOf = (name) => new URL(`${name}${name.includes("?") ? "&" : "?"}hash=${FILES.get(name)}`, scope).href;

/** Stores the file unless this content of it is there. */
async function keep(cache, name) {
  if (await cache.match(keyOf(name))) return;
  const response = await fetch(new URL(name, scope), { cache: "no-cache" });
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  await cache.put(keyOf(name), response);
}

async function install() {
  const cache = await caches.open(CACHE);
  const names = [...FILES.keys()].filter((name) => !LATER.test(name) && !ON_USE.test(name));
  await Promise.all(names.map((name) => keep(cache, name)));
  await self.skipWaiting();
}

/** One after the other, so that the page's own requests are not held up. `all`: also data that nobody has asked for yet. */
async function keepMore(all) {
  const cache = await caches.open(CACHE);
  // Workers of the first visit have fetched their program before anything was stored.
  const workers = await self.clients.matchAll({ type: "worker", includeUncontrolled: true });
  const used = workers.some(({ url }) => ON_USE.test(url));
  for (const name of FILES.keys()) if (ON_USE.test(name) ? used : all) await keep(cache, name);
}

async function activate() {
  const cache = await caches.open(CACHE);
  const keys = new Set([...FILES.keys()].map(keyOf));
  const old = (await cache.keys()).filter((request) => !keys.has(request.url));
  await Promise.all(old.map((request) => cache.delete(request)));
  await self.clients.claim();
}

/**
 * The answer with the headers that let threads share the engine's memory: few static hosts send them. A page is under a service
 * worker, and so isolated, from its second visit on.
 */
function isolated(response) {
  const { body, status, statusText } = response;
  // A host that sends a page elsewhere: only the browser may see where to.
  if (status === 0) return response;
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  return new Response(body, { status, statusText, headers });
}

/** A page comes from the network, so that a new build is seen at once, and from the cache when offline. */
async function page(request) {
  try {
    return await fetch(request);
  } catch (error) {
    const kept = await (await caches.open(CACHE)).match(keyOf(""));
    if (kept) return kept;
    throw error;
  }
}

async function file(request, name) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(keyOf(name));
  if (kept) return kept;
  const response = await fetch(request);
  // Where a full disk keeps nothing, the answer is there all the same.
  if (response.status === 200) await cache.put(keyOf(name), response.clone()).catch(() => {});
  return response;
}

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(activate()));
self.addEventListener("message", (event) => {
  event.waitUntil(keepMore(event.data === "keep all").catch((error) => console.info("not all kept:", error.message)));
});
self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET") return;
  if (request.mode === "navigate") event.respondWith(page(request).then(isolated));
  else {
    const name = nameOf(request.url);
    if (name !== undefined) event.respondWith(file(request, name).then(isolated));
  }
});
