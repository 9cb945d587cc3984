// Accounts made the way real clients make them: a phone registers, scans the code that a browser shows, and the browser
// collects its session (wire.md, A).
import { randomBytes } from 'node:crypto';
import { Agent, request as httpRequest } from 'node:http';
import { RawSocket } from './socket.mjs';

// The server closes what is idle for five seconds: by then it must not be used again.
const agent = new Agent({ keepAlive: true, timeout: 4000 });

/**
 * @param {number} port
 * @param {string} method
 * @param {string} path
 * @param {{ body?: object, token?: string, agent?: Agent | false }} [options]
 * @returns {Promise<{ status: number, body: Buffer }>}
 */
export function request(port, method, path, options = {}) {
  return new Promise((resolve, reject) => {
    const body = options.body === undefined ? undefined : JSON.stringify(options.body);
    const headers = {
      ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
    };
    const sent = httpRequest(
      { host: '127.0.0.1', port, method, path, headers, agent: options.agent ?? agent },
      (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({ status: /** @type {number} */ (response.statusCode), body: Buffer.concat(chunks) }),
        );
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

/** The `data` of a reply that has to be a success. */
async function data(reply) {
  const { status, body } = await reply;
  if (status >= 300) throw new Error(`status ${status}: ${body}`);
  return JSON.parse(body.toString()).data;
}

/** @typedef {{ deviceId: string, deviceToken: string, sessionToken: string }} Account what a phone and its browser keep */

/** @param {number} port */
export const showCode = (port) => data(request(port, 'GET', '/api/auth/generate-qr'));

/**
 * The long poll of a browser that shows a code.
 * @param {number} port
 * @param {string} token
 * @param {Agent | false} [ofAgent]
 */
export const waitForPairing = (port, token, ofAgent) =>
  data(request(port, 'POST', '/api/auth/wait-pairing', { body: { token }, agent: ofAgent }));

/**
 * A phone that nobody has seen before.
 * @param {number} port
 */
export async function newPhone(port) {
  const socket = await RawSocket.open({ port });
  const deviceId = `bench-${randomBytes(8).toString('hex')}`;
  socket.emit('mobile:register', { deviceId, deviceName: 'Bench', deviceModel: 'Load' });
  const { deviceToken } = await socket.next('authenticated');
  return { socket, deviceId, deviceToken };
}

/**
 * @param {number} port
 * @returns {Promise<Account>}
 */
async function pair(port) {
  const { socket, deviceId, deviceToken } = await newPhone(port);
  const { qrData, token } = await showCode(port);
  const waiting = waitForPairing(port, token);
  const paired = socket.next('qr:paired');
  socket.emit('mobile:scan-qr', { qrData, deviceId });
  const [{ sessionToken }] = await Promise.all([waiting, paired]);
  socket.close();
  return { deviceId, deviceToken, sessionToken };
}

/**
 * @param {number} port
 * @param {number} count
 * @returns {Promise<Account[]>}
 */
export async function makePairs(port, count) {
  const pairs = [];
  let started = 0;
  const maker = async () => {
    while (started < count) {
      started++;
      pairs.push(await pair(port));
    }
  };
  await Promise.all(Array.from({ length: Math.min(8, count) }, maker));
  return pairs;
}

/**
 * The bare relay takes anybody at their word.
 * @param {number} count
 * @returns {Account[]}
 */
export const barePairs = (count) =>
  Array.from({ length: count }, () => {
    const id = `bench-${randomBytes(8).toString('hex')}`;
    return { deviceId: id, deviceToken: id, sessionToken: id };
  });
