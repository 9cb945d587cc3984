// Keeps the page itself, so that it opens without a network; messages are the client's to keep. The build fills in the
// two constants. A new version waits until every tab of the old one is closed: no tab loses files it may still load.
const CACHE = 'pairline-__VERSION__';
const FILES = ['__FILES__'];
const PATIENCE_MS = 3000;

self.addEventListener('install', (event) => {
  event.waitUntil(
    caches.open(CACHE).then((cache) =>
      // The page answers at `/` only to who asks for HTML.
      cache.addAll(FILES.map((path) => new Request(path, { headers: { Accept: 'text/html,*/*' }, cache: 'reload' }))),
    ),
  );
});

self.addEventListener('activate', (event) => {
  const clean = async () => {
    for (const name of await caches.keys()) {
      if (name.startsWith('pairline-') && name !== CACHE) await caches.delete(name);
    }
  };
  event.waitUntil(clean());
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== 'GET' || origin !== self.location.origin) return;
  if (request.mode === 'navigate' && pathname === '/') event.respondWith(page(request));
  else if (FILES.includes(pathname) && pathname !== '/') event.respondWith(kept(request, pathname));
});

/** The newest page when the server answers soon, else the kept one. */
async function page(request) {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), PATIENCE_MS);
  try {
    const answer = await fetch(request, { signal: late.signal });
    if (answer.status < 500) return answer;
  } catch {
    // No network, or one that does not answer.
  } finally {
    clearTimeout(timer);
  }
  return (await caches.match('/', { cacheName: CACHE, ignoreVary: true })) ?? Response.error();
}

async function kept(request, pathname) {
  return (await caches.match(pathname, { cacheName: CACHE, ignoreVary: true })) ?? fetch(request);
}

self.addEventListener('notificationclick', (event) => {
  event.notification.close();
  const { hash } = event.notification.data;
  const show = async () => {
    const [tab] = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
    if (tab === undefined) return self.clients.openWindow(`/${hash}`);
    tab.postMessage({ show: hash });
    return tab.focus();
  };
  event.waitUntil(show());
});
