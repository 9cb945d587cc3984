import { call } from './http.js';
import type { Session, Store } from './store.js';
import { ClientError } from './types.js';

/** What signing in to a realm answers, and refreshing (docs/table-sync.md). */
export interface RealmTokens {
  access_token: string;
  refresh_token: string;
}

/** The session of this device with the token after `old`; undefined when there is none to be had. */
export function renew(url: string, store: Store, deviceId: string, old: string): Promise<Session | undefined> {
  return store.exclusive('tokens', async () => {
    const session = await store.read((tx) => tx.value('session'));
    if (session?.deviceId !== deviceId) return undefined;
    // Another tab has been here otherwise.
    return session.token === old ? refresh(url, store, session) : session;
  });
}

async function refresh(url: string, store: Store, { realm, ...session }: Session): Promise<Session | undefined> {
  if (realm === undefined) return undefined;
  const path = `/login/${encodeURIComponent(realm.slug)}/refreshToken`;
  const { refreshToken } = realm;
  const tokens = await call<RealmTokens>(url, path, { body: { refreshToken } }).catch(unlessRefused);
  if (tokens === undefined) return undefined;
  const next = { ...session, token: tokens.access_token, realm: { ...realm, refreshToken: tokens.refresh_token } };
  await store.write(async (tx) => {
    if ((await tx.value('session'))?.deviceId === next.deviceId) await tx.set('session', next);
  });
  return next;
}

function unlessRefused(error: unknown): undefined {
  if (!(error instanceof ClientError) || error.code !== 'refresh_refused') throw error;
}
