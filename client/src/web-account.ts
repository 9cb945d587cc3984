import type { ChangesPage } from '@pairline/protocol';
import { Access } from './access.js';
import type { Connection } from './connection.js';
import { call } from './http.js';
import { Keyring, type SavedKeyring } from './keys/index.js';
import { listDevices, Members } from './members.js';
import { Reader } from './reading.js';
import type { Session, Store } from './store.js';
import { Behind, keepKeys, Sync, type SyncEvents } from './sync.js';
import { ClientError, type Device } from './types.js';
import { Turns } from './waiting.js';

export interface AccountEvents extends SyncEvents {
  /** A message came while the client was live. */
  arrived: (messageId: string) => Promise<void>;
}

/** The changes of one connection, up to where they have been taken. Broken: one of them could not be. */
interface Stream {
  cursor: number;
  broken: boolean;
}

/** What there is while somebody is signed in: the session, the keys, and the rows as they follow the server's. */
export class Account {
  readonly reader: Reader;
  readonly access: Access;
  readonly members: Members | undefined;
  private readonly sync: Sync;
  private readonly pages = new Turns();
  /** The number of the last change that was there before there was a connection: what follows comes while it is looked at. */
  liveSince = Infinity;
  private stream: Stream = { cursor: 0, broken: true };
  private over = false;

  /** Throws a `ClientError` `no_keys` for keys that are damaged. */
  constructor(
    private readonly url: string,
    store: Store,
    private readonly connection: Connection,
    session: Session,
    saved: SavedKeyring | undefined,
    private readonly events: AccountEvents,
  ) {
    const keyring = saved && Keyring.load(saved);
    this.reader = new Reader(keyring);
    this.access = new Access(url, store, session);
    this.members =
      keyring &&
      new Members(keyring, connection, {
        keep: () => store.write((tx) => keepKeys(tx, keyring)),
        refresh: () => this.sync.refresh(),
        list: () => this.listDevices(),
        clears: false,
      });
    this.sync = new Sync(store, this.reader, session, {
      ...events,
      learned: () => {
        this.members?.learned();
        events.learned();
        this.handLateKeys();
      },
    });
  }

  get session(): Session {
    return this.access.session;
  }

  listDevices(): Promise<Device[]> {
    return this.access.use((token) => listDevices(this.url, token, this.members?.keyring));
  }

  /** For nobody to wait for: what fails is tried again with the next connection. */
  handLateKeys(): void {
    this.members?.handLateKeys().catch((error: unknown) => {
      if (!(error instanceof ClientError)) this.connection.fail(error);
    });
  }

  /** What came while there was no connection; answers what to connect with. */
  async catchUp(signal: AbortSignal): Promise<{ token: string; after: number }> {
    await this.pages.over();
    await this.sync.reopen();
    const get = <T>(path: string) => this.access.use((token) => call<T>(this.url, path, { token, signal }));
    const cursor = await this.sync.catchUp(get);
    this.stream = { cursor, broken: false };
    this.liveSince = cursor;
    return { token: this.session.token, after: cursor };
  }

  /** A page of changes, in its turn. */
  take(page: ChangesPage): void {
    const { stream } = this;
    void this.pages.take(async () => {
      // What comes after a page that was not taken would leave a gap.
      if (stream.broken || this.over) return;
      try {
        const arrived = await this.sync.take(page, stream.cursor);
        stream.cursor = page.cursor;
        for (const { id } of arrived) await this.events.arrived(id);
      } catch (error) {
        stream.broken = true;
        if (error instanceof Behind) this.connection.restart();
        else this.connection.fail(error);
      }
    });
  }

  /** Takes nothing any more; resolves when nothing is under way. */
  async leave(): Promise<void> {
    this.over = true;
    await Promise.all([this.pages.over(), this.access.settled()]);
  }
}
