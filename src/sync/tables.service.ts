import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { Response } from 'express';
import { LRUCache } from 'lru-cache';
import type { AccountKey } from '../changes/account-key.js';
import { Changes } from '../changes/changes.js';
import { ENV, type BootEnv } from '../env.js';
import { relayError } from '../errors.js';
import { RemoteData } from '../accounts/remote-data.js';
import type { Session } from '../sessions/session.js';
import { sendJson } from './json-stream.js';
import { PendingPulls } from './pending-pulls.js';
import { RecordReader, type Announced } from './record-reader.js';
import type { RecordMutation } from './record.kind.js';
import { checkClient, readPull, readPush, type AnnouncedChange } from './table-request.js';

const REMEMBERED_CLIENTS = 20_000;
const DELETED_AT_ONCE = 1000;

/** What a client has said it knows, and up to where it knows all by now: what it was sent, and what it wrote itself. */
interface Told {
  lastSync: number;
  upTo: number;
  /** The pull came in parts: what they announced is kept until it is pushed. */
  inParts: boolean;
}

/**
 * Table sync (wire.md, section C): a client pulls what others changed, announcing what it changed itself, then pushes
 * that. Of two changes of a row the newer stands, and the pull tells a client which of its own have lost already.
 *
 * Existing clients push with the `lastSync` that they pulled with, and keep the one that the push answers. So what the
 * pull has told is remembered until the push: its answer may pass by that, and never by what another client wrote since.
 * After a restart nothing is remembered: a client that is told a number from before its pull gets some rows once more.
 */
@Injectable()
export class Tables implements OnModuleInit {
  private readonly told = new LRUCache<string, Told>({ max: REMEMBERED_CLIENTS });

  constructor(
    private readonly changes: Changes,
    private readonly records: RecordReader,
    private readonly pending: PendingPulls,
    private readonly remoteData: RemoteData,
    @Inject(ENV) private readonly env: BootEnv,
  ) {}

  onModuleInit(): void {
    this.remoteData.deletedBy((account) => this.deleteAll(account));
  }

  /**
   * What changed after `lastSync`, but for rows of which the client announces a newer change; and of those whose change is
   * not newer, the rows as they stand. A number that deletions are missing after, or that this account has never had (its
   * database was put back to an earlier day), begins anew: these clients know no error for it. From 0 on there is nothing
   * to delete yet.
   */
  async pull(session: Session, clientId: string | undefined, body: unknown, response: Response): Promise<void> {
    const { lastSync, isPartial, changes } = readPull(body, this.bounds(session, clientId));
    const { account, deviceId } = session;
    const announced = toAnnounced(changes);
    const since = isPartial ? Number.MAX_SAFE_INTEGER : this.pending.since();
    const { now, horizon, pending, outdated } = await this.records.compare(account, deviceId, announced, since);

    if (isPartial) {
      const lost = new Set(outdated);
      await this.pending.add(session, toAnnounced(changes.filter(({ guid }) => !lost.has(guid))));
    }
    const upTo = isPartial ? lastSync : now;
    const after = lastSync > now || lastSync < horizon ? 0 : lastSync;
    const operation = lastSync === 0 ? 'I' : 'U';
    const skipped = new Set([...announced.ids, ...pending]);
    const isWanted = (id: string, isDeleted: boolean) => !skipped.has(id) && !(isDeleted && lastSync === 0);
    const { records } = this;

    async function* pages() {
      if (outdated.length > 0) yield* records.named(account, outdated, operation);
      if (!isPartial && now > after) yield* records.changed(account, after, now, operation, isWanted);
    }
    async function* pieces() {
      yield `{"lastSync":${upTo},"clientId":${JSON.stringify(deviceId)},"outdatedRowsGuid":${JSON.stringify(outdated)},"data":[`;
      let separator = '';
      for await (const rows of pages()) {
        if (rows.length === 0) continue;
        yield separator + rows.join(',');
        separator = ',';
      }
      yield ']}';
    }
    const isSent = await sendJson(response, pieces());
    if (isSent && !isPartial) this.told.set(keyOf(session), { lastSync, upTo, inParts: pending.length > 0 });
  }

  /**
   * Resolves after the commit. What is not newer than the row that stands changes nothing, and is named in
   * `outdatedRowsGuid`. Throws `row_invalid`, and then nothing of the request is stored.
   */
  async push(
    session: Session,
    clientId: string | undefined,
    body: unknown,
  ): Promise<{ lastSync: number; outdatedRowsGuid: string[] }> {
    const { lastSync, isPartial, changes } = readPush(body, this.bounds(session, clientId));
    const { account, deviceId: origin } = session;
    const at = Date.now();
    const mutations = changes.map(({ guid: id, date, table: collection, json }): RecordMutation => {
      const sealed = json === null ? null : account.seal('record', id, json);
      const changedAt = Math.min(date.ms, at);
      const row = { collection, clientDate: date.text, changedAt, origin, json, sealed };
      return { account, kind: 'record', id, op: 'write', row, at, bytes: 512 + 2 * (sealed?.length ?? 0) };
    });
    const outcomes = await this.changes.submit(mutations);
    if (outcomes.some(({ result }) => result === 'rejected')) throw relayError('rejected');
    if (outcomes.some(({ result }) => result === 'missing')) throw relayError('token_expired');
    const stale = outcomes.map((outcome) => (outcome.result === 'stale' ? outcome.seq : undefined));
    const outdatedRowsGuid = changes.filter((_, i) => stale[i] !== undefined).map(({ guid }) => guid);
    // What stands instead is told once more: the client may have changed it after it was told.
    const upTo = Math.min(...stale.filter((seq) => seq !== undefined)) - 1;
    const written = outcomes.flatMap((outcome) => (outcome.result === 'applied' ? [outcome.seq] : []));
    return { lastSync: await this.knownBy(session, lastSync, isPartial, written, upTo), outdatedRowsGuid };
  }

  /** Forgets what was announced in the parts of a pull; resolves after the commit. */
  async cancel(session: Session, body: unknown): Promise<true> {
    checkClient(body, { deviceId: session.deviceId, clientId: undefined });
    await this.pending.clear(session);
    this.told.delete(keyOf(session));
    return true;
  }

  /** Up to where the client knows all, that said `lastSync` and has written those numbers; never past `upTo`. */
  private async knownBy(
    session: Session,
    lastSync: number,
    isPartial: boolean,
    written: number[],
    upTo: number,
  ): Promise<number> {
    const { account, deviceId } = session;
    const told = this.told.get(keyOf(session));
    const since = told?.lastSync === lastSync ? told.upTo : lastSync;
    // Its own are all that there is after it: nobody else's can be between, and no deletion was forgotten since.
    const isNext =
      written.length > 0 && Math.min(...written) > since && Math.max(...written) === since + written.length;
    const { known, horizon } = isNext
      ? { known: since + written.length, horizon: since }
      : await this.records.known(account, deviceId, since);
    // Deletions are missing there: the number stays too old, so that the next pull begins anew.
    if (since !== 0 && since < horizon) return lastSync;
    if (told?.inParts && !isPartial) await this.pending.clear(session);
    const answer = Math.min(known, upTo);
    this.told.set(keyOf(session), { lastSync, upTo: answer, inParts: told?.inParts === true && isPartial });
    return answer;
  }

  /** For a client that starts with nothing: everything goes, and other clients hear of it. */
  private async deleteAll(account: AccountKey): Promise<void> {
    for (let more = true; more;) {
      const living = await account.home.database.prisma.record.findMany({
        where: { accountId: account.id, deleted: false },
        select: { id: true, collection: true, changedAt: true },
        take: DELETED_AT_ONCE,
      });
      const at = Date.now();
      const mutations = living.map(({ id, collection, changedAt: before }): RecordMutation => {
        const changedAt = Math.max(at, Number(before) + 1);
        // No device's: even the one that asked for it is told, under whatever name it comes back.
        const row = { collection, clientDate: String(changedAt), changedAt, origin: '', json: null, sealed: null };
        return { account, kind: 'record', id, op: 'write', row, at, bytes: 512 };
      });
      await this.changes.submit(mutations);
      more = living.length === DELETED_AT_ONCE;
    }
  }

  private bounds({ deviceId }: Session, clientId: string | undefined) {
    return { deviceId, clientId, maxBatch: this.env.limits.maxBatch };
  }
}

/** Dates from the future count as now, as they do when they are pushed. */
function toAnnounced(changes: AnnouncedChange[]): Announced {
  const now = Date.now();
  return { ids: changes.map(({ guid }) => guid), changedAt: changes.map(({ date }) => Math.min(date.ms, now)) };
}

function keyOf({ account, deviceId }: Session): string {
  return `${account.id}:${deviceId}`;
}
