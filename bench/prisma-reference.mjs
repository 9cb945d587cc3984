// The reference for storing and reading: the generated Prisma client, as anyone would write it. A process of its own,
// driven by `Worker` in worker.mjs. PRISMA_CLIENT names another build of the generated client.
import { randomBytes, randomUUID } from 'node:crypto';
import { PrismaPg } from '@prisma/adapter-pg';
import { answerCalls } from './operations.mjs';
import { meter } from './processes.mjs';

const { PrismaClient } = await import(process.env.PRISMA_CLIENT ?? '../dist/generated/prisma/client.js');
const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: process.env.DATABASE_URL }) });

/** This process is the one under test, and has no client beside it. */
const watch = (watched) => {
  const stop = meter({ ...watched, server: process.pid });
  return () => ({ ...stop(), client: 0 });
};

const operations = {
  /** `createMany` of messages as they are stored, `batch` at a time, `inFlight` of them at once. */
  async write({ rows, batch, inFlight, contentBytes, watched }) {
    const accountId = randomUUID();
    await prisma.account.create({ data: { id: accountId, dataKey: randomBytes(32) } });
    const prefix = randomBytes(4).toString('hex');
    const start = Date.now() - rows * 60_000;
    const messages = Array.from({ length: rows }, (_, n) => ({
      accountId,
      id: `b${prefix}-${String(n).padStart(12, '0')}`,
      seq: BigInt(n + 1),
      at: BigInt(start),
      conversationId: `c-${String(n % 20).padStart(2, '0')}`,
      type: 'received',
      read: false,
      timestamp: BigInt(start + n * 60_000),
      content: randomBytes(contentBytes),
    }));
    const batches = [];
    for (let first = 0; first < rows; first += batch) batches.push(messages.slice(first, first + batch));
    const stop = watch(watched);
    let next = 0;
    const writer = async () => {
      while (next < batches.length) await prisma.message.createMany({ data: batches[next++] });
    };
    await Promise.all(Array.from({ length: inFlight }, writer));
    return { rows, costs: stop() };
  },

  /** `findMany` page by page, each page as JSON text; nothing goes over HTTP. `open`: as whoever asks has to get them. */
  async read({ phoneId, take, watched, open }) {
    const { accountId } = await prisma.device.findFirstOrThrow({ where: { phoneId } });
    const key = open ? await accountKey(accountId) : undefined;
    const stop = watch(watched);
    let cursor = 0n;
    let rows = 0;
    let bytes = 0;
    for (;;) {
      const page = await prisma.message.findMany({
        where: { accountId, seq: { gt: cursor } },
        orderBy: { seq: 'asc' },
        take,
      });
      if (page.length === 0) break;
      rows += page.length;
      cursor = page[page.length - 1].seq;
      bytes += JSON.stringify(page.map(key ? (row) => toOpened(row, key) : toSealed)).length;
    }
    return { rows, bytes, costs: stop() };
  },
};

/** What JSON cannot hold has to become something else. */
function toSealed(row) {
  return {
    ...row,
    seq: Number(row.seq),
    at: Number(row.at),
    timestamp: Number(row.timestamp),
    validUntil: row.validUntil === null ? null : Number(row.validUntil),
    content: row.content === null ? null : Buffer.from(row.content).toString('base64'),
  };
}

/** The change that our server answers with. */
function toOpened({ id, seq, at, content, conversationId, timestamp, type, read, status }, key) {
  const opened = JSON.parse(key.open('message', id, Buffer.from(content)));
  const row = {
    id,
    conversationId,
    timestamp: Number(timestamp),
    type,
    read,
    ...(status ? { status } : {}),
    ...opened,
  };
  return { seq: Number(seq), kind: 'message', id, op: 'put', at: Number(at), row };
}

async function accountKey(accountId) {
  const { AccountKey } = await import('../dist/changes/account-key.js');
  const { unwrapDataKey } = await import('../dist/changes/account-keys.js');
  const { dataKey: wrapped } = await prisma.account.findUniqueOrThrow({ where: { id: accountId } });
  const encryptionKey = Buffer.from(process.env.ENCRYPTION_KEY, 'base64');
  const { dataKeyId, dataKey } = unwrapDataKey([encryptionKey], accountId, Buffer.from(wrapped));
  return new AccountKey(accountId, dataKeyId, dataKey, { realm: 'default', database: undefined });
}

answerCalls(operations);
