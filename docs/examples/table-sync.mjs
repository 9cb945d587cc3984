// node table-sync.mjs http://localhost:3000 default ann@example.org 'a long password' notes.json ['a new note']
// Notes in a file, the same on every device that runs this. docs/table-sync.md tells the whole protocol.
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const [url, realm, email, password, file, note] = process.argv.slice(2);
const local = existsSync(file) ? JSON.parse(readFileSync(file)) : { clientId: randomUUID(), lastSync: 0, rows: {} };
const { clientId, rows } = local; // rows: guid → {text, date, operation?}; `operation` while the server has not got it
const save = () => writeFileSync(file, JSON.stringify(local));
if (note !== undefined) rows[randomUUID()] = { text: note, date: new Date().toISOString(), operation: 'I' };
save();

const person = { name: email, email, password, clientId };
if (local.lastSync === 0) await post('register', person); // known already: this client is added
const basic = `Basic ${Buffer.from(`${email}:${password}`).toString('base64')}`;
const { access_token } = await post('login', { clientId }, basic);
const bearer = `Bearer ${access_token}`;

// Pull: says what we changed, answers what others changed and which of ours came too late.
const changed = Object.entries(rows).filter(([, row]) => row.operation);
const changes = changed.map(([rowguid, { operation, date }]) => ({ operation, rowguid, tablename: 'notes', clientdate: date })); // prettier-ignore
const pulled = await inParts('pull', changes);
for (const { rowguid, operation, rowData, clientdate } of pulled.data)
  if (operation === 'D') delete rows[rowguid];
  else rows[rowguid] = { text: rowData.text, date: clientdate };
local.lastSync = pulled.lastSync;

// Push: the rest of ours, with their contents.
const mine = changes.filter(({ rowguid }) => !pulled.outdatedRowsGuid.includes(rowguid));
if (mine.length > 0) {
  const full = mine.map((change) => ({ ...change, rowData: { text: rows[change.rowguid].text } }));
  local.lastSync = (await inParts('push', full)).lastSync;
  for (const { rowguid } of mine) delete rows[rowguid].operation;
}
save();
for (const { text } of Object.values(rows)) console.log(text);

/** A hundred rows a request; all but the last one are marked. */
async function inParts(route, changes) {
  let answer = { data: [], outdatedRowsGuid: [] };
  for (let i = 0; i === 0 || i < changes.length; i += 100) {
    const isPartial = i + 100 < changes.length ? 1 : 0;
    const part = { clientId, lastSync: local.lastSync, isPartial, changes: changes.slice(i, i + 100) };
    const { data = [], outdatedRowsGuid = [], lastSync } = await post(route, part, bearer);
    answer = { lastSync, data: [...answer.data, ...data], outdatedRowsGuid: [...answer.outdatedRowsGuid, ...outdatedRowsGuid] }; // prettier-ignore
  }
  return answer;
}

async function post(route, body, authorization = '') {
  const headers = { 'Content-Type': 'application/json', ...(authorization && { Authorization: authorization }) };
  const response = await fetch(`${url}/${route}/${realm}`, { method: 'POST', headers, body: JSON.stringify(body) });
  const reply = await response.json();
  if (!response.ok) throw new Error(reply.message);
  return reply;
}
