import type { Redis } from 'ioredis';

/** A server that has not said so for this long is gone. */
const GONE_AFTER_MS = 15_000;
/** What nobody renews goes by itself; each server renews its own in a third of it. */
const FORGOTTEN_AFTER_S = 10_800;

/** A connection as the other servers know it. */
export interface Entry {
  kind: 'phone' | 'browser' | 'key';
  deviceId: string;
  phoneId: string;
  /** Whether it gets the events of wire.md, section B. */
  live: boolean;
}

interface Own {
  account: string;
  entry: Entry;
}

/**
 * Entries of an account that belong to servers that are there, but for ours. Those of servers that are gone wait for `reap`, which
 * tells of them; what it has missed is cleared away.
 * KEYS: the account's. ARGV: our node, the prefix of the servers' signs of life, the set of servers.
 */
const ELSEWHERE = `
local found = {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local node = string.match(all[i], '^[^ ]+')
  if node ~= ARGV[1] then
    if redis.call('EXISTS', ARGV[2] .. node) == 1 then found[#found + 1] = all[i + 1]
    elseif redis.call('SISMEMBER', ARGV[3], node) == 0 then redis.call('HDEL', KEYS[1], all[i]) end
  end
end
return found`;

/** Takes the entries of a server out of an account's. KEYS: the account's. ARGV: the server. */
const CLEAR = `
local gone = {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if string.match(all[i], '^[^ ]+') == ARGV[1] then
    redis.call('HDEL', KEYS[1], all[i])
    gone[#gone + 1] = all[i + 1]
  end
end
return gone`;

/**
 * Who is connected to which server, in Redis: a hash for each account, whose fields are a server and one of its connections; a set for
 * each server, of the accounts that it has connections of; and its sign of life.
 */
export class Roster {
  private readonly own = new Map<string, Own>();
  private readonly perAccount = new Map<string, number>();
  private leavers: ((account: string, gone: Entry[]) => void)[] = [];
  private renewedAt = Date.now();
  private closed = false;

  constructor(
    private readonly redis: Redis,
    private readonly prefix: string,
    private readonly node: string,
  ) {}

  async add(account: string, connection: string, entry: Entry): Promise<void> {
    this.own.set(connection, { account, entry });
    this.perAccount.set(account, (this.perAccount.get(account) ?? 0) + 1);
    await this.write(account, connection, entry);
  }

  async remove(connection: string): Promise<void> {
    const own = this.own.get(connection);
    if (own === undefined) return;
    const { account } = own;
    this.own.delete(connection);
    const left = this.perAccount.get(account)! - 1;
    if (left > 0) this.perAccount.set(account, left);
    else this.perAccount.delete(account);
    if (this.closed) return;
    const steps = this.redis.pipeline().hdel(this.accountKey(account), `${this.node} ${connection}`);
    if (left === 0) steps.srem(this.accountsKey(this.node), account);
    await checked(steps.exec());
  }

  /** The account's connections to other servers. */
  async elsewhere(account: string): Promise<Entry[]> {
    const keys = [this.accountKey(account), this.node, this.lifeKey(''), this.serversKey];
    const found = await this.redis.eval(ELSEWHERE, 1, ...keys);
    return (found as string[]).map((text) => JSON.parse(text) as Entry);
  }

  /** A server is gone without a word, and this one is to tell of those who were connected to it. */
  onGone(listener: (account: string, gone: Entry[]) => void): void {
    this.leavers.push(listener);
  }

  /** Our sign of life. False when the last one is over: the others took us for gone. */
  async beat(): Promise<boolean> {
    const key = this.lifeKey(this.node);
    const [before] = await checked(
      this.redis.pipeline().set(key, '1', 'PX', GONE_AFTER_MS, 'GET').sadd(this.serversKey, this.node).exec(),
    );
    if (before === null || Date.now() - this.renewedAt > (FORGOTTEN_AFTER_S * 1000) / 3) await this.renew();
    return before !== null;
  }

  /** Clears away what servers that are gone have left, and tells of it: each entry is told by one server. */
  async reap(): Promise<void> {
    for (const node of await this.redis.smembers(this.serversKey)) {
      if (node === this.node || (await this.redis.exists(this.lifeKey(node))) === 1) continue;
      for (let account; (account = await this.redis.spop(this.accountsKey(node))) !== null;) {
        const gone = (await this.redis.eval(CLEAR, 1, this.accountKey(account), node)) as string[];
        const entries = gone.map((text) => JSON.parse(text) as Entry);
        if (entries.length > 0) for (const tell of this.leavers) tell(account, entries);
      }
      await this.redis.srem(this.serversKey, node);
    }
  }

  /** Takes out all that is ours. */
  async close(): Promise<void> {
    this.closed = true;
    const steps = this.redis.pipeline();
    for (const [connection, { account }] of this.own)
      steps.hdel(this.accountKey(account), `${this.node} ${connection}`);
    steps.del(this.accountsKey(this.node), this.lifeKey(this.node)).srem(this.serversKey, this.node);
    await checked(steps.exec());
  }

  /** After Redis lost it, and before it forgets. */
  private async renew(): Promise<void> {
    this.renewedAt = Date.now();
    for (const [connection, { account, entry }] of [...this.own])
      if (this.own.has(connection)) await this.write(account, connection, entry);
  }

  private async write(account: string, connection: string, entry: Entry): Promise<void> {
    const key = this.accountKey(account);
    await checked(
      this.redis
        .pipeline()
        .hset(key, `${this.node} ${connection}`, JSON.stringify(entry))
        .expire(key, FORGOTTEN_AFTER_S)
        .sadd(this.accountsKey(this.node), account)
        .exec(),
    );
  }

  private get serversKey(): string {
    return `${this.prefix}servers`;
  }
  private accountKey(account: string): string {
    return `${this.prefix}account:${account}`;
  }
  private accountsKey(node: string): string {
    return `${this.prefix}accounts-of:${node}`;
  }
  private lifeKey(node: string): string {
    return `${this.prefix}alive:${node}`;
  }
}

/** A pipeline's answers; the first that is an error is thrown. */
async function checked(answers: Promise<[Error | null, unknown][] | null>): Promise<unknown[]> {
  return ((await answers) ?? []).map(([error, answer]) => {
    if (error) throw error;
    return answer;
  });
}
