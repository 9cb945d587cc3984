// A group chat: what one member writes reaches the other 99, and is in each one's account. The reference tells the same to
// a room of as many sockets and keeps nothing.
import { randomBytes } from 'node:crypto';
import { request } from '../pairing.mjs';

const MEMBERS = 100;
/** Messages on their way at once: about what a lively evening brings. */
const IN_FLIGHT = 64;
/** What a message of 180 characters is once it is sealed. */
const CONTENT = Buffer.alloc(208, 'sealed bytes').toString('base64');

/** @returns {Promise<any>} */
async function call(port, method, path, token, body) {
  const { status, body: answer } = await request(port, method, path, { token, body });
  if (status >= 300) throw new Error(`${method} ${path}: status ${status}: ${answer}`);
  return JSON.parse(answer.toString());
}

async function newMember(port) {
  const pseudo = `bench-${randomBytes(6).toString('hex')}`;
  const body = { pseudo, password: randomBytes(12).toString('hex'), public_key: randomBytes(32).toString('base64') };
  const { token } = await call(port, 'POST', '/api/auth/register', undefined, body);
  return { pseudo, token };
}

/** A chat whose members have all accepted. */
async function newGroup(port) {
  const [owner, ...others] = await Promise.all(Array.from({ length: MEMBERS }, () => newMember(port)));
  const { conversation_id: conversationId } = await call(port, 'POST', '/api/conversations', owner.token, { name: 'Choir' }); // prettier-ignore
  for (const { pseudo, token } of others) {
    const body = { pseudo, key: randomBytes(48).toString('base64'), conversationId };
    const { invitation_id } = await call(port, 'POST', '/api/conversations/invite', owner.token, body);
    const respond = `/api/conversations/invitations/${invitation_id}/respond`;
    await call(port, 'POST', respond, token, { response: 'accepted' });
  }
  return { conversationId, tokens: [owner, ...others].map(({ token }) => token) };
}

/** @param {import('../bench.mjs').Bench} bench */
export async function groups(bench) {
  // What passwords cost is not asked here.
  const env = { ARGON2_MEMORY_KIB: '8', ARGON2_PASSES: '1', LIMIT_INVITATIONS_PER_HOUR: '0' };
  const [ours, bare] = [await bench.ours({ env }), await bench.bare()];
  const load = bench.load('./fan-out-client.mjs');
  const watched = { ours: bench.watched(ours), bare: { server: bare.pid } };
  const nobody = { conversationId: 'choir', tokens: Array.from({ length: MEMBERS }, (_, i) => `member-${i}`) };
  const chats = { ours: await newGroup(ours.port), bare: nobody };
  for (const [group, { port }] of Object.entries({ ours, bare })) {
    const { conversationId, tokens } = chats[group];
    const payload = `{"conversationId":"${conversationId}","messageContent":"${CONTENT}"}`;
    const connections = tokens.map((token) => ({ auth: { token, conversationId } }));
    const says = { event: 'sendMessage', answer: 'newMessage', payload };
    await load.call('open', { group, port, wire: 'socketIo', connections, ...says });
  }

  /** @type {Record<string, any[]>} */
  const runs = { ours: [], bare: [] };
  for (let round = 0; round < bench.rounds; round++) {
    for (const group of Object.keys(runs)) {
      const { seconds, warmup } = bench;
      const args = { group, seconds, warmup: round === 0 ? warmup * 2 : warmup, inFlight: IN_FLIGHT, reach: MEMBERS - 1, watched: watched[group] }; // prettier-ignore
      const run = await load.call('saturate', args);
      run.rate = run.told / run.costs.wall;
      // The author's account has its row, too.
      run.rows = (run.acked * MEMBERS) / run.costs.wall;
      run.cpu = ((run.costs.server + run.costs.postgres) / run.told) * 10_000;
      run.summary = `${Math.round(run.rate)} deliveries/s, ${run.cpu.toFixed(2)} CPU-s/10k`;
      runs[group].push(bench.keep(`groups ${group}`, run));
    }
  }
  const of = (group, key) => runs[group].map((run) => run[key]);
  return [
    {
      measure: `group of ${MEMBERS}: deliveries`,
      unit: 'msg/s',
      ours: of('ours', 'rate'),
      reference: of('bare', 'rate'),
      must: { atLeast: 0.4 },
      aim: { atLeast: 0.7 },
    },
    { measure: `group of ${MEMBERS}: rows committed`, unit: 'rows/s', ours: of('ours', 'rows'), reference: [] },
    {
      measure: `group of ${MEMBERS}: Node + Postgres CPU a delivery`,
      unit: 'CPU-s/10k',
      ours: of('ours', 'cpu'),
      reference: of('bare', 'cpu'),
    },
  ];
}
