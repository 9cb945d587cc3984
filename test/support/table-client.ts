import { randomUUID } from 'node:crypto';
import type { AccountKey } from '../../src/changes/account-key.js';
import { Accounts } from '../../src/sessions/accounts.service.js';
import { Devices } from '../../src/sessions/devices.service.js';
import { Tokens } from '../../src/sessions/tokens.js';
import { call, type Reply } from './clients.js';
import type { TestServer } from './server.js';

export interface PulledRow {
  userid: string;
  id: number;
  rowguid: string;
  operation: 'I' | 'U' | 'D';
  tablename: string;
  clientdate: number | string;
  serverdate: string;
  clientid: string;
  rowData: unknown;
}

export interface Pulled {
  lastSync: number;
  clientId: string;
  outdatedRowsGuid: string[];
  data: PulledRow[];
}

export interface Pushed {
  lastSync: number;
  outdatedRowsGuid: string[];
}

export function newAccount(server: TestServer, realm = 'default'): Promise<AccountKey> {
  return server.app.get(Accounts).create(realm, { email: `${randomUUID()}@example.org` });
}

/** A client of table sync (wire.md, section C) that has signed in. */
export class TableClient {
  private constructor(
    private readonly url: string,
    readonly realm: string,
    readonly id: string,
    readonly token: string,
  ) {}

  static async of(server: TestServer, account: AccountKey, id: string = randomUUID()): Promise<TableClient> {
    const expiresAt = new Date(Date.now() + 3_600_000);
    const { session, generation } = await server.app.get(Devices).signIn(account, { id, name: 'A client' }, expiresAt);
    const token = server.app.get(Tokens).sign(session, generation);
    return new TableClient(server.url, account.home.realm, id, token);
  }

  static withToken(url: string, realm: string, id: string, token: string): TableClient {
    return new TableClient(url, realm, id, token);
  }

  post<T = unknown>(
    path: string,
    body: object,
    { headers }: { headers?: Record<string, string> } = {},
  ): Promise<Reply<T>> {
    return call<T>(this.url, path, { token: this.token, body, headers });
  }

  tryPull(lastSync: unknown, changes: object[] = [], more: object = {}): Promise<Reply<Pulled>> {
    return this.post(`/pull/${this.realm}`, { clientId: this.id, lastSync, isPartial: 0, changes, ...more });
  }

  tryPush(lastSync: unknown, changes: object[], more: object = {}): Promise<Reply<Pushed>> {
    return this.post(`/push/${this.realm}`, { clientId: this.id, lastSync, isPartial: 0, changes, ...more });
  }

  async pull(lastSync: unknown = 0, changes: object[] = [], more: object = {}): Promise<Pulled> {
    return taken(await this.tryPull(lastSync, changes, more));
  }

  async push(lastSync: unknown, changes: object[], more: object = {}): Promise<Pushed> {
    return taken(await this.tryPush(lastSync, changes, more));
  }
}

function taken<T>({ status, body }: Reply<T>): T {
  if (status !== 200) throw new Error(`status ${status}: ${JSON.stringify(body)}`);
  return body;
}

/** A change as clients send it. */
export function change(rowguid: string, clientdate: number | string, rowData?: unknown, more: object = {}): object {
  return { operation: rowData === undefined ? 'D' : 'U', rowguid, tablename: 'todos', clientdate, rowData, ...more };
}
