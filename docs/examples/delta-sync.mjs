// node delta-sync.mjs http://localhost:3000 ann@example.org notes.json ['a new note']
// Signs in by a code from a mail once, keeps an API key, and syncs. docs/delta-sync.md tells the whole protocol.
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';

const [url, email, file, note] = process.argv.slice(2);
const local = existsSync(file) ? JSON.parse(readFileSync(file)) : { cursor: 0, messages: {}, unsent: [] };
local.apiKey ??= await newKey();
const updated_at = Date.now();
if (note !== undefined)
  local.unsent.push({ id: randomUUID(), conversation_id: 'notes', content: note, updated_at, is_deleted: 0 });
save(); // before the request, so that a cut connection loses nothing: the same rows may be sent again

const conversations = local.cursor === 0 ? [{ id: 'notes', name: 'Notes', updated_at, is_deleted: 0 }] : [];
const { server_changes, new_sync_timestamp } = await post(
  '/api/sync',
  { last_sync_timestamp: local.cursor, client_changes: { conversations, messages: local.unsent } },
  local.apiKey,
);
for (const message of local.unsent) local.messages[message.id] = message;
// What the server says stands: it also tells which of our rows lost to a newer one.
for (const message of server_changes.messages)
  if (message.is_deleted) delete local.messages[message.id];
  else local.messages[message.id] = message;
local.cursor = new_sync_timestamp;
local.unsent = [];
save();
for (const { content } of Object.values(local.messages)) console.log(content);

/** Mail → code → session → key. The session is only needed to make the key. */
async function newKey() {
  await post('/api/auth/request-otp', { email });
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const otp = (await terminal.question('The code from the mail:\n')).trim();
  terminal.close();
  const { token } = await post('/api/auth/verify-otp', { email, otp });
  const { apiKey } = await post('/api/keys', { name: 'Example', scopes: ['sync'] }, token);
  return apiKey; // shown once
}

async function post(path, body, token) {
  const headers = { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) };
  const response = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) });
  const reply = await response.json();
  if (!response.ok) throw new Error(reply.message);
  return reply;
}

function save() {
  writeFileSync(file, JSON.stringify(local));
}
