// What the measures share: the settings of the run, the servers under test, and remarks on how far a figure can be trusted.
import { cpus } from 'node:os';
import { Cluster } from './postgres.mjs';
import { barePairs, makePairs } from './pairing.mjs';
import { Server, startBare, startBareWs, startPairline, SECRETS } from './server.mjs';
import { Worker } from './worker.mjs';

/** Above this share of one CPU the load client, not the server, may be what was measured. */
const BUSY = 0.9;
/** Above this share of one CPU, what else runs on this machine is in the way. */
const DISTURBED = 0.1;

export class Bench {
  /** By what they are about; a later round speaks over an earlier one. @type {Map<string, string>} */
  remarks = new Map();
  /** Every single run, for the JSON. @type {Record<string, object[]>} */
  runs = {};
  /** Messages a second that our server takes, once `relay` or `latency` has found out. */
  saturation = 0;
  /** @type {Cluster | null} */
  #cluster = null;
  #databases = 0;
  /** @type {{ stop(): unknown }[]} */
  #open = [];

  /** @param {{ quick: boolean, rounds: number, self: boolean }} options */
  constructor({ quick, rounds, self }) {
    this.quick = quick;
    this.rounds = rounds;
    /** Both sides are the bare relay: what the bench itself adds, and how much its figures vary. */
    this.self = self;
    this.seconds = quick ? 2 : 6;
    this.warmup = quick ? 1 : 2;
    // Many phones with a few messages each under way: one phone with hundreds would let every read bring a bundle.
    this.pairs = 32;
    this.inFlight = 256;
  }

  async cluster() {
    return (this.#cluster ??= await Cluster.start());
  }

  /** The name of a new, empty database. */
  async database() {
    const name = `bench${++this.#databases}`;
    await (await this.cluster()).createDatabase(name);
    return name;
  }

  /**
   * Pairline on a new database, or on `database`.
   * @param {{ database?: string, env?: Record<string, string> }} [options]
   */
  async ours({ database, env } = {}) {
    if (this.self) return this.#keep(await startBare());
    const name = database ?? (await this.database());
    const server = this.#keep(await startPairline((await this.cluster()).url(name), env));
    server.database = name;
    return server;
  }

  /** @param {{ messageNew?: boolean }} [options] */
  async bare(options) {
    return this.#keep(await startBare(options));
  }

  /** A server of nothing but `ws`. */
  async bareWs() {
    return this.#keep(await startBareWs());
  }

  /** A load client of its own process. */
  load(file = './load-client.mjs') {
    return this.#keep(new Worker(file));
  }

  /** @param {string} database */
  async prisma(database) {
    const env = { DATABASE_URL: (await this.cluster()).url(database), ENCRYPTION_KEY: SECRETS.ENCRYPTION_KEY };
    return this.#keep(new Worker('./prisma-reference.mjs', env));
  }

  #keep(thing) {
    this.#open.push(thing);
    return thing;
  }

  /** Accounts on our server. */
  ourPairs(server, count = this.pairs) {
    return this.self ? barePairs(count) : makePairs(server.port, count);
  }

  /** Whose CPU counts when our server is loaded. */
  watched(server) {
    return { server: server.pid, postmaster: this.self ? undefined : this.#cluster?.postmaster };
  }

  /** Keeps one run's figures, and says so when something other than the server set the limit. */
  keep(name, run) {
    (this.runs[name] ??= []).push(run);
    const { costs } = run;
    const client = costs.client / costs.wall;
    if (client > BUSY)
      this.remarks.set(
        `${name} client`,
        `${name}: the load client was ${Math.round(client * 100)} % busy: it may have been the limit.`,
      );
    const strangers = cpus().length - (costs.idle + costs.server + costs.postgres + costs.client) / costs.wall;
    if (strangers > DISTURBED)
      this.remarks.set(
        `${name} strangers`,
        `${name}: other processes took ${Math.round(strangers * 100)} % of a CPU: repeat it on a quiet machine.`,
      );
    for (const trouble of ['lost', 'unanswered', 'refused'])
      if (run[trouble])
        this.remarks.set(
          `${name} ${trouble}`,
          `${name}: ${run[trouble]} ${trouble}${run.firstRefusal ? ` (${run.firstRefusal})` : ''}.`,
        );
    const shares = {
      server: costs.server,
      postgres: costs.postgres,
      client: costs.client,
      others: strangers * costs.wall,
      idle: costs.idle,
    };
    const words = Object.entries(shares).map(
      ([who, seconds]) => `${who} ${Math.round((seconds / costs.wall) * 100)} %`,
    );
    this.say(`  ${name}: ${run.summary ?? ''} [CPU: ${words.join(', ')}]`);
    return run;
  }

  say(text) {
    console.error(text);
  }

  /** What servers said last, for a measure that failed. */
  lastWords() {
    const servers = this.#open.filter((thing) => thing instanceof Server && !thing.wanted);
    return servers.map(
      (server) => `server ${server.port}${server.ended ? ', which ended by itself' : ''}:\n${server.log.slice(-1500)}`,
    );
  }

  /** Ends what a measure started; the Postgres cluster stays for the next. */
  async tidy() {
    for (const thing of this.#open.reverse()) await thing.stop();
    this.#open = [];
  }

  async end() {
    await this.tidy();
    await this.#cluster?.stop();
  }
}
