import pg from 'pg';

interface Waiting {
  query: pg.QueryConfig;
  resolve: (result: pg.QueryResult) => void;
  reject: (error: unknown) => void;
}

/**
 * Short reads of many requests over one connection, in one write a turn of the event loop: to hand each to a connection of
 * the pool costs the server more than the read costs Postgres. They wait for each other, so what may take long goes
 * through the pool.
 */
export class QuickReads {
  private client: Promise<pg.Client> | undefined;
  private waiting: Waiting[] = [];
  private closed = false;

  constructor(private readonly url: string) {}

  query<Row extends pg.QueryResultRow>(query: pg.QueryConfig): Promise<pg.QueryResult<Row>> {
    return new Promise((resolve, reject) => {
      // After all that came in this turn: their queries go together.
      if (this.waiting.length === 0) setImmediate(() => void this.send());
      this.waiting.push({ query, resolve: resolve as Waiting['resolve'], reject });
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    const client = await this.client?.catch(() => undefined);
    await client?.end();
  }

  private async send(): Promise<void> {
    const sent = this.waiting;
    this.waiting = [];
    try {
      if (this.closed) throw new Error('Connection terminated: the server stops');
      const client = await (this.client ??= this.connect());
      for (const { query, resolve, reject } of sent) client.query(query).then(resolve, reject);
    } catch (error) {
      for (const { reject } of sent) reject(error);
    }
  }

  private connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.url,
      application_name: 'pairline',
      connectionTimeoutMillis: 5000,
      keepAlive: true,
      // Queries do not wait for the answers of those before them.
      pipeline: true,
    });
    const open = async () => {
      await client.connect();
      // Planned once, and by key: a plan made while the tables were small must not read them whole once they are large.
      await client.query(`SET plan_cache_mode = force_generic_plan; SET jit = off;
                          SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off`);
      // What takes long after all ends.
      await client.query(`SET statement_timeout = '10s'`);
      return client;
    };
    const opened = open();
    const forget = () => {
      if (this.client === opened) this.client = undefined;
    };
    // Those that are under way are told by pg; the next one opens another.
    client.on('error', forget);
    client.on('end', forget);
    opened.catch(() => {
      forget();
      client.end().catch(() => undefined);
    });
    return opened;
  }
}
