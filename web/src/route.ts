import { useSyncExternalStore, type MouseEvent } from 'react';

// Where the page is stands behind the `#`: it works with the browser's back, and no id or number of a conversation ever
// reaches the server.

export type Route =
  | { page: 'home' | 'archived' | 'new' | 'new-group' | 'settings' }
  /** `message`: to be shown and marked. */
  | { page: 'conversation'; id: string; message?: string }
  /** A private conversation or group; `message` as above. */
  | { page: 'chat'; id: string; message?: string }
  /** Who is in it, and what can be done about it. */
  | { page: 'chat-details'; id: string }
  /** A number that has no conversation yet. */
  | { page: 'number'; number: string }
  /** Somebody opened the link under another browser's QR code; `code` is the whole link. */
  | { page: 'pair'; code: string };

export function toHash(route: Route): string {
  switch (route.page) {
    case 'home':
      return '#/';
    case 'conversation':
      return `#/c/${encodeURIComponent(route.id)}${route.message ? `/${encodeURIComponent(route.message)}` : ''}`;
    case 'chat':
      return `#/p/${encodeURIComponent(route.id)}${route.message ? `/${encodeURIComponent(route.message)}` : ''}`;
    case 'chat-details':
      return `#/about/${encodeURIComponent(route.id)}`;
    case 'number':
      return `#/to/${encodeURIComponent(route.number)}`;
    case 'pair':
      return '#/settings';
    case 'archived':
    case 'new':
    case 'new-group':
    case 'settings':
      return `#/${route.page}`;
  }
}

function fromHash(hash: string): Route {
  if (hash.startsWith('#pair=')) return { page: 'pair', code: location.origin + '/' + hash };
  try {
    const [page, first, second] = hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent);
    if (page === 'c' && first) return { page: 'conversation', id: first, ...(second ? { message: second } : {}) };
    if (page === 'p' && first) return { page: 'chat', id: first, ...(second ? { message: second } : {}) };
    if (page === 'about' && first) return { page: 'chat-details', id: first };
    if (page === 'to' && first) return { page: 'number', number: first };
    if (page === 'archived' || page === 'new' || page === 'new-group' || page === 'settings') return { page };
  } catch {
    // Not percent-encoded as we do it.
  }
  return { page: 'home' };
}

let current = fromHash(location.hash);
const listeners = new Set<() => void>();

function changed(): void {
  current = fromHash(location.hash);
  for (const listener of listeners) listener();
}

window.addEventListener('popstate', changed);
// A pairing code is a secret: it does not stay in the address bar or the history.
if (current.page === 'pair') history.replaceState(null, '', '#/settings');

/** `replace`: the browser's back does not come here again. */
export function navigate(route: Route, { replace = false } = {}): void {
  const hash = toHash(route);
  if (replace) history.replaceState(history.state, '', hash);
  else if (hash !== location.hash) history.pushState({ inside: true }, '', hash);
  changed();
}

/** As `navigate`, by a route in its written form. */
export function goTo(hash: string): void {
  navigate(fromHash(hash));
}

/** To where the person came from, or to the list when the page was opened right here. */
export function goBack(): void {
  if ((history.state as { inside?: boolean } | null)?.inside) history.back();
  else navigate({ page: 'home' }, { replace: true });
}

export function useRoute(): Route {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => current,
  );
}

/** Links that go there by `navigate`, so that back knows the way; a new tab works as ever. */
export function follow(...target: Parameters<typeof navigate>) {
  return (event: MouseEvent) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    navigate(...target);
  };
}
