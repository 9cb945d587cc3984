// The reference for table sync: the same rows through `pg` alone, as anyone would write it, in the clear and without HTTP.
// A process of its own, driven by `Worker` in worker.mjs.
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { answerCalls } from './operations.mjs';
import { meter } from './processes.mjs';

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 16 });

/** This process is the one under test, and has no client beside it. */
const watch = (watched) => {
  const stop = meter({ ...watched, server: process.pid });
  return () => ({ ...stop(), client: 0 });
};

const UPSERT = {
  name: 'upsert',
  text: `INSERT INTO records (account_id, id, seq, at, collection, client_date, changed_at, origin, content)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (account_id, id) DO UPDATE SET seq = excluded.seq, at = excluded.at, content = excluded.content,
           client_date = excluded.client_date, changed_at = excluded.changed_at, origin = excluded.origin
         WHERE excluded.changed_at > records.changed_at`,
};

const toValues = (account, seq, { rowguid, tablename, clientdate, rowData }, origin) => [
  account,
  rowguid,
  seq,
  Date.now(),
  tablename,
  String(clientdate),
  clientdate,
  origin,
  Buffer.from(JSON.stringify(rowData)),
];

async function newAccount() {
  const id = randomUUID();
  await pool.query('INSERT INTO accounts (id, data_key) VALUES ($1, $2)', [id, Buffer.alloc(32)]);
  return id;
}

/** @param {(client: pg.PoolClient) => Promise<void>} work */
async function transaction(work) {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    await work(client);
    await client.query('COMMIT');
  } finally {
    client.release();
  }
}

const NUMBER = { name: 'number', text: 'UPDATE accounts SET seq = seq + $2 WHERE id = $1 RETURNING seq' };

const operations = {
  /** An INSERT … ON CONFLICT a row, and a transaction a batch. */
  async push({ rows, batch, watched }) {
    const account = await newAccount();
    const stop = watch(watched);
    for (let first = 0; first < rows.length; first += batch)
      await transaction(async (client) => {
        const part = rows.slice(first, first + batch);
        const { rows: numbers } = await client.query({ ...NUMBER, values: [account, part.length] });
        const after = Number(numbers[0].seq) - part.length;
        for (const [i, row] of part.entries())
          await client.query({ ...UPSERT, values: toValues(account, after + i + 1, row, 'reference') });
      });
    return { rows: rows.length, costs: stop() };
  },

  /** The rows of an account as they are stored, as one JSON text. */
  async pull({ account, watched }) {
    const stop = watch(watched);
    const { rows } = await pool.query({
      name: 'pull',
      text: 'SELECT * FROM records WHERE account_id = $1 AND seq > $2 ORDER BY seq',
      values: [account, 0],
    });
    const data = rows.map((row) => ({
      userid: row.account_id,
      id: Number(row.seq),
      rowguid: row.id,
      operation: 'I',
      tablename: row.collection,
      clientdate: JSON.parse(row.client_date),
      serverdate: new Date(Number(row.at)).toISOString(),
      clientid: row.origin,
      rowData: row.content.toString('base64'),
    }));
    const text = JSON.stringify({ lastSync: data.at(-1)?.id, clientId: 'reference', outdatedRowsGuid: [], data });
    return { rows: data.length, bytes: text.length, costs: stop() };
  },

  /** Two clients an account: each reads what is new and writes a row, all of it in one transaction a cycle. */
  async cycles({ clients, seconds, warmup, row, watched }) {
    const accounts = await Promise.all(Array.from({ length: clients / 2 }, newAccount));
    let cycles = 0;
    let end = Infinity;
    const client = async (n) => {
      const account = accounts[n >> 1];
      const rowguid = randomUUID();
      let cursor = 0;
      for (let i = 1; performance.now() < end; i++, cycles++)
        await transaction(async (connection) => {
          const { rows: numbers } = await connection.query({ ...NUMBER, values: [account, 1] });
          const { rows: changed } = await connection.query({
            name: 'changed',
            text: 'SELECT * FROM records WHERE account_id = $1 AND seq > $2 ORDER BY seq',
            values: [account, cursor],
          });
          JSON.stringify(changed.map(({ content, ...rest }) => ({ ...rest, rowData: content.toString() })));
          cursor = Number(numbers[0].seq);
          const change = { ...row, rowguid, clientdate: row.clientdate + i };
          await connection.query({ ...UPSERT, values: toValues(account, cursor, change, `client ${n}`) });
        });
    };
    const running = Array.from({ length: clients }, (_, n) => client(n));
    await new Promise((resolve) => setTimeout(resolve, warmup * 1000));
    cycles = 0;
    const stop = watch(watched);
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    const result = { cycles, costs: stop() };
    end = 0;
    await Promise.all(running);
    return result;
  },
};

answerCalls(operations);
