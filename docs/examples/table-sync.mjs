// node table-sync.mjs http://localhost:3000 default ann@example.org 'a long password' notes.json ['a new note']
// Notes in a file, the same on every device that runs this. docs/table-sync.md tells the whole protocol.
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const [url, realm, email, password, file, text] = process.argv.slice(2);
const nothing = { clientId: randomUUID(), lastSync: 0, notes: {}, unsent: [] };
const local = existsSync(file) ? JSON.parse(readFileSync(file)) : nothing;
const save = () => writeFileSync(file, JSON.stringify(local));
const { clientId, lastSync, notes } = local;
const note = { operation: 'I', rowguid: randomUUID(), tablename: 'notes', clientdate: Date.now(), rowData: { text } };
if (text !== undefined) local.unsent.push(note);
save(); // before the requests, so that a cut connection loses nothing: the same rows may be pushed again

if (lastSync === 0) await post('register', { name: email, email, password, clientId }); // a person, or a client more
const basic = Buffer.from(`${email}:${password}`).toString('base64');
const { access_token } = await post('login', { clientId }, `Basic ${basic}`);
const bearer = `Bearer ${access_token}`; // for an hour; a client that runs on refreshes it

// Pull: says what we changed, without contents; answers what others changed, and which of ours came too late.
const changes = local.unsent.map((change) => ({ ...change, rowData: undefined }));
const pulled = await post('pull', { clientId, lastSync, changes }, bearer);
// Push: the rest of ours, with their contents.
const ours = local.unsent.filter(({ rowguid }) => !pulled.outdatedRowsGuid.includes(rowguid));
const pushed = await post('push', { clientId, lastSync: pulled.lastSync, changes: ours }, bearer);
for (const { operation, rowguid, rowData } of [...pulled.data, ...ours])
  if (operation === 'D') delete notes[rowguid];
  else notes[rowguid] = rowData.text;
Object.assign(local, { lastSync: pushed.lastSync, unsent: [] });
save();
for (const text of Object.values(notes)) console.log(text);

async function post(route, body, authorization) {
  const headers = { 'Content-Type': 'application/json', ...(authorization && { Authorization: authorization }) };
  const response = await fetch(`${url}/${route}/${realm}`, { method: 'POST', headers, body: JSON.stringify(body) });
  const reply = await response.json();
  if (!response.ok) throw new Error(reply.message);
  return reply;
}
