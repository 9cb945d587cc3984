#!/usr/bin/env node
// Stands in for the programs of Termux:API, under whose names it is linked. It prints what they print, oddities included:
// - `termux-sms-list` lists 10 unless told otherwise, takes the first ones in the given order, and prints them backwards;
//   `-f` makes it forget the type, a type it does not know lists everything;
// - `received` is local time without a zone; `sender` is there for contacts alone, and "You" in what was sent to them;
// - `termux-sms-send` prints nothing, whatever becomes of the text;
// - a permission that is missing is an object on standard output and exit code 0; without the app, they wait for ever.
import { appendFileSync, copyFileSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { text } from 'node:stream/consumers';

const folder = process.env.FAKE_ANDROID;
const program = basename(process.argv[1]);
const args = process.argv.slice(2);
const input = program === 'termux-sms-send' ? await text(process.stdin) : '';

// One at a time, as Android's own database would have it.
for (;;) {
  try {
    mkdirSync(join(folder, 'busy'));
    break;
  } catch {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
  }
}
const phone = JSON.parse(readFileSync(join(folder, 'phone.json'), 'utf8'));
const save = () => writeFileSync(join(folder, 'phone.json'), JSON.stringify(phone));
const free = () => rmdirSync(join(folder, 'busy'));
process.on('exit', () => phone.withoutApp || free());

appendFileSync(join(folder, 'calls'), `${JSON.stringify([program, ...args])}\n`);
if (phone.withoutApp && program.startsWith('termux-')) {
  free();
  setInterval(() => undefined, 1 << 30);
} else if (phone.refused?.[program] !== undefined) console.log(JSON.stringify({ error: phone.refused[program] }));
else
  switch (program) {
    case 'getprop':
      console.log(args[0] === 'persist.sys.timezone' ? phone.zone : '');
      break;
    case 'termux-telephony-deviceinfo':
      console.log(JSON.stringify({ data_enabled: 'true', network_country_iso: phone.country, sim_country_iso: phone.country }, null, 2)); // prettier-ignore
      break;
    case 'termux-contact-list':
      console.log(JSON.stringify(phone.contacts, null, 2));
      break;
    case 'termux-sms-list':
      list();
      break;
    case 'termux-sms-send':
      send();
      break;
    case 'termux-camera-photo':
      if (phone.photo !== undefined) copyFileSync(phone.photo, args[0]);
      break;
    case 'termux-clipboard-get':
      process.stdout.write(phone.clipboard ?? '');
      break;
  }

function list() {
  const given = { limit: 10, offset: 0, type: 'all', order: 'date DESC' };
  for (let at = 0; at < args.length; at++) {
    const [, name, value] = /^--(message-selection|message-sort-order)=(.*)$/s.exec(args[at]) ?? [];
    if (name === 'message-selection') given.selection = value;
    else if (name !== undefined) given.order = value;
    else if (args[at] === '-l') given.limit = Number(args[++at]);
    else if (args[at] === '-o') given.offset = Number(args[++at]);
    else if (args[at] === '-t') given.type = args[++at];
    else if (args[at] === '-f') given.from = args[++at];
    else return fail(`termux-sms-list: illegal option ${args[at]}`);
  }
  const number = { inbox: 1, sent: 2, draft: 3, outbox: 4 }[given.type];
  let rows = phone.texts.filter((row) => given.from !== undefined || number === undefined || row.type === number);
  if (given.selection !== undefined) rows = rows.filter((row) => selects(given.selection, row));
  else if (given.from !== undefined) rows = rows.filter((row) => row.address === given.from);
  const [column, direction] = given.order.split(' ');
  rows.sort((one, other) => (one[column] - other[column]) * (direction === 'DESC' ? -1 : 1));
  rows = rows.slice(given.offset, given.offset + given.limit).reverse();
  console.log(JSON.stringify(rows.map(toPrinted), null, 2));
  goOn();
}

/** As much SQL as the tests need; the rest is refused. */
function selects(sql, row) {
  return sql.split(' AND ').every((condition) => {
    const [, column, operator, value] =
      /^(_id|type) (>|<=|==|IN) (\d+|\([\d,]+\))$/.exec(condition) ?? fail(`SQL: ${sql}`);
    if (operator === 'IN') return value.slice(1, -1).split(',').map(Number).includes(row[column]);
    return { '>': row[column] > value, '<=': row[column] <= value, '==': row[column] === Number(value) }[operator];
  });
}

function toPrinted({ _id, threadid, type, read, address, date, body, received }) {
  const name = phone.contacts.find((contact) => contact.number === address)?.name;
  const printed = { threadid, type: { 1: 'inbox', 2: 'sent', 3: 'draft', 4: 'outbox', 5: 'failed' }[type] ?? '', read };
  if (name !== undefined) printed.sender = type === 1 ? name : 'You';
  const local = new Date(date).toLocaleString('sv-SE', { timeZone: phone.zone });
  received ??= received === null ? null : local.replace(/\d/g, (digit) => phone.digits?.[digit] ?? digit);
  return { ...printed, address, number: address, received, body, _id };
}

function send() {
  if (args[0] !== '-n' || args.length > 2) return fail('termux-sms-send: only -n is known here');
  for (const address of args[1].split(',')) {
    appendFileSync(join(folder, 'radio'), `${JSON.stringify({ address, body: input })}\n`);
    const fate = phone.fates?.[address] ?? 'sent';
    if (fate === 'nothing') continue;
    // Android queues a text (type 6), tries it (4), and then it is sent (2) or failed (5).
    phone.texts.push({
      _id: phone.next++,
      threadid: 99,
      type: 6,
      fate,
      read: true,
      address,
      date: phone.now,
      body: input,
    });
  }
  save();
}

/** Texts on their way get one step further with each look. */
function goOn() {
  const moving = phone.texts.filter(({ type, fate }) => type === 6 || (type === 4 && fate !== 'stuck'));
  if (moving.length === 0) return;
  for (const text of moving) text.type = text.type === 6 ? 4 : text.fate === 'failed' ? 5 : 2;
  save();
}

function fail(sentence) {
  console.error(sentence);
  process.exit(1);
}
