// node delta-sync.mjs http://localhost:3000 ann@example.org notes.json ['a new note']
// Signs in by a code from a mail once, keeps an API key, and syncs. docs/delta-sync.md tells the whole protocol.
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';

const [url, email, file, content] = process.argv.slice(2);
const local = existsSync(file) ? JSON.parse(readFileSync(file)) : { cursor: 0, messages: {}, unsent: [] };
const save = () => writeFileSync(file, JSON.stringify(local));

if (local.apiKey === undefined) {
  await post('/api/auth/request-otp', { email });
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const otp = await terminal.question('The code from the mail:\n');
  terminal.close();
  const { token } = await post('/api/auth/verify-otp', { email, otp });
  local.apiKey = (await post('/api/keys', { name: 'Example', scopes: ['sync'] }, token)).apiKey; // shown once
}

const note = { id: randomUUID(), conversation_id: 'notes', content, updated_at: Date.now(), is_deleted: 0 };
if (content !== undefined) local.unsent.push(note);
save(); // before the request, so that a cut connection loses nothing: the same rows may be sent again
const body = { last_sync_timestamp: local.cursor, client_changes: { messages: local.unsent } };
const { server_changes, new_sync_timestamp } = await post('/api/sync', body, local.apiKey);
// What the server says comes after ours, and stands: it also tells which of ours lost to a newer one.
for (const message of [...local.unsent, ...server_changes.messages])
  if (message.is_deleted) delete local.messages[message.id];
  else local.messages[message.id] = message;
Object.assign(local, { cursor: new_sync_timestamp, unsent: [] });
save();
for (const { content } of Object.values(local.messages)) console.log(content);

async function post(path, body, token) {
  const headers = { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) };
  const response = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) });
  const reply = await response.json();
  if (!response.ok) throw new Error(reply.message);
  return reply;
}
