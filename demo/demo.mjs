// npm run demo [address] [-- --fast]
//
// Shows the whole story against a running server: a simulated phone pairs with a browser in this terminal, texts come in,
// a reply goes out, and what is written while the phone is away waits for it. The address may also stand in PAIRLINE_URL.
// `--fast` leaves the pauses out.
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs, stripVTControlCharacters } from 'node:util';

const PATIENCE_MS = 15_000;
const MIA = { id: 'mia', phoneNumber: '+15550134', contactName: 'Mia' };
const PARCELS = { id: 'parcels', phoneNumber: '+15550199', contactName: 'Parcels' };
const TEXTS = [
  [MIA, 'Are you still coming on Saturday?'],
  [MIA, 'Leo brings the tent'],
  [PARCELS, 'Your parcel arrives today between 14:00 and 16:00'],
  [MIA, 'And it will be cold at night!'],
  [MIA, 'Do you have a sleeping bag? 🏕️'],
];

const { values: options, positionals } = readArguments();
const url = (positionals[0] ?? process.env.PAIRLINE_URL ?? 'http://localhost:3000').replace(/\/+$/, '');
const colours = process.stdout.isTTY && !process.env.NO_COLOR;
const pause = (ms) => (options.fast ? Promise.resolve() : delay(ms));

try {
  await tell();
  process.exit(0);
} catch (error) {
  console.error(error.message);
  process.exit(1);
}

async function tell() {
  const { Phone, Browser, QRCode } = await load();
  await findServer();

  const inviteToken = process.env.INVITE_TOKEN;
  const contacts = [MIA, PARCELS].map((contact) => ({
    ...contact,
    lastMessage: '',
    lastMessageTime: 0,
    unreadCount: 0,
  }));
  const phone = new Phone({ url, say: speaker('phone', 32), pause, contacts, inviteToken });
  const web = new Browser({ url, say: speaker('web', 36) });

  title(`Pairline at ${url}`);
  await phone.connect();
  phone.say('registered with the server');
  await pause(800);

  title('A browser asks for a QR code, and the phone scans it');
  const { qrData, token } = await web.requestQr();
  const type = colours ? 'terminal' : 'utf8';
  for (const line of (await QRCode.toString(qrData, { type, small: true })).split('\n'))
    if (stripVTControlCharacters(line).trim() !== '') web.say(line);
  const paired = web.waitForPairing(token);
  paired.catch(() => undefined); // it is awaited below, also when the scan has failed before
  await pause(2000);
  phone.say('scans the code');
  await phone.scan(qrData);
  await paired;
  web.say('paired');
  await web.connect();
  await until(web, () => web.conversations.size === contacts.length, "The phone's conversations");

  title('Five texts come in');
  for (const [contact, body] of TEXTS) {
    await pause(600);
    phone.say(`a text from ${contact.contactName} comes in`);
    const id = await phone.receive(contact, body);
    await until(web, () => web.news.has(id), `“${body}”`);
  }

  title('The browser answers');
  await pause(1000);
  await delivered(phone, web, await web.write(MIA.phoneNumber, 'Yes, and a warm one'));

  title('The phone goes away');
  await pause(1000);
  phone.disconnect();
  phone.say('out of reach');
  await until(web, () => !web.phone.here, "The news of the phone's absence");
  const waiting = [];
  for (const body of ['When do we leave?', 'I can drive']) {
    await pause(800);
    waiting.push(await web.write(MIA.phoneNumber, body));
  }

  title('The phone comes back and gets what waited');
  await pause(1500);
  phone.say('in reach again');
  await phone.connect();
  for (const id of waiting) await delivered(phone, web, id);

  title('Reading in the browser is reading on the phone');
  await pause(800);
  web.say(`marks ${MIA.contactName}'s conversation as read`);
  await web.markRead(MIA.id);
  await until(phone, () => phone.read.has(MIA.id), 'The mark on the phone');

  title('That was all: paired, five texts in, three out, none lost.');
  phone.disconnect();
  web.disconnect();
}

async function delivered(phone, web, id) {
  const { body } = web.messages.get(id);
  await until(web, () => web.messages.get(id).status === 'delivered', `The delivery of “${body}”`);
  await until(phone, () => phone.delivered.has(id), `The answer to the phone's report on “${body}”`);
}

/** Resolves once `look` is true of a phone or browser. */
function until(side, look, what) {
  return new Promise((resolve, reject) => {
    const check = () => {
      if (look()) end(resolve);
    };
    const end = (settle) => {
      clearTimeout(timer);
      side.off('change', check);
      settle();
    };
    const late = () => reject(new Error(`${what} did not come within ${PATIENCE_MS / 1000} seconds.`));
    const timer = setTimeout(() => end(late), PATIENCE_MS);
    side.on('change', check);
    check();
  });
}

async function findServer() {
  if (!URL.canParse(url) || !/^https?:/.test(url))
    throw new Error(`The address of the server has to begin with http:// or https://, unlike "${url}".`);
  const health = await fetch(`${url}/api/auth/health`, { signal: AbortSignal.timeout(PATIENCE_MS) })
    .then((response) => response.json())
    .catch((error) => {
      if (error instanceof SyntaxError) return undefined;
      throw new Error(`Nothing answers at ${url}: run \`npm start\` in another terminal, then this again.`);
    });
  if (!health?.success) throw new Error(`What answers at ${url} is not a Pairline server.`);
}

async function load() {
  try {
    const [{ Phone }, { Browser }, { default: QRCode }] = await Promise.all([
      import('./phone.mjs'),
      import('./browser.mjs'),
      import('qrcode'),
    ]);
    return { Phone, Browser, QRCode };
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new Error('The demo needs packages that are not installed: run `npm ci` (without --omit=dev) first.');
  }
}

function readArguments() {
  try {
    return parseArgs({ options: { fast: { type: 'boolean', default: false } }, allowPositionals: true });
  } catch (error) {
    console.error(`${error.message.split('.')[0]}. Usage: npm run demo -- [address] [--fast]`);
    process.exit(1);
  }
}

function speaker(name, colour) {
  const label = `${name.padEnd(5)} │`;
  return (line) => console.log(`${paint(colour, label)} ${line}`);
}

function title(text) {
  console.log(`\n${paint(1, text)}`);
}

function paint(code, text) {
  return colours ? `\u001b[${code}m${text}\u001b[0m` : text;
}
