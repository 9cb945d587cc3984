import type { Change, ChatChange } from '@pairline/protocol';
import { Middleman } from './client-between.js';
import { eager } from './client-ends.js';
import { accept, personAt, seen, type Device } from './client-people.js';
import { later } from './database.js';
import { TestServer } from './server.js';

// A group, and what a server can do to what goes to one of its members.

export interface Person {
  name: string;
  device: Device;
  userId: string;
}

/** A group of Ann, who is told the truth, of Bob, who is not, and of others. */
export async function group(
  others = 0,
): Promise<{ url: string; id: string; ann: Person; bob: Person; rest: Person[]; between: Middleman }> {
  const server = await TestServer.start();
  later(() => server.stop());
  const between = await Middleman.start(server.url);
  const person = async (url: string): Promise<Person> => {
    const { name, devices } = await personAt(url);
    return { name, device: devices[0]!, userId: (await devices[0]!.chats.profile()).userId };
  };
  const [ann, bob] = [await person(server.url), await person(between.url)];
  eager(bob.device.web);
  const rest: Person[] = [];
  for (let i = 0; i < others; i++) rest.push(await person(server.url));
  const id = await ann.device.chats.createGroup('Friends');
  for (const invited of [bob, ...rest]) {
    await ann.device.chats.invite(id, invited);
    await accept(invited.device);
  }
  for (const { device } of [ann, bob, ...rest])
    await seen(device, async () => (await device.chats.chat(id))?.members === rest.length + 2, 'all members');
  return { url: server.url, id, ann, bob, rest, between };
}

type RowOf<Kind extends ChatChange['kind']> = NonNullable<Extract<ChatChange, { kind: Kind }>['row']>;

/** Has fields of each row of a kind that comes to Bob changed. */
export function change<Kind extends ChatChange['kind']>(
  between: Middleman,
  kind: Kind,
  lie: (row: RowOf<Kind>) => object | undefined,
): void {
  const changed = (page: { changes: Change[] }) => ({
    ...page,
    changes: page.changes.map(
      (item) =>
      item.kind === kind && item.row !== undefined ? placed({ ...item, row: { ...item.row, ...lie(item.row as never) } as never }) : item, // prettier-ignore
    ),
  });
  between.lies = {
    event: (event, payload) => (event === 'changes' ? changed(payload) : undefined),
    reply: (path, body) => (/changes|snapshot/.test(path) ? changed(body) : undefined),
  };
}

/** In the place that its row says. */
function placed(item: ChatChange): ChatChange {
  if (item.row === undefined || item.kind === 'chat' || item.kind === 'block') return item;
  return { ...item, id: `${item.row.chatId}:${item.row.id}` };
}

/** What Ann's device would seal a message of hers with, or another person's. */
export async function keyOf({ device }: Person, id: string, epoch: number): Promise<string> {
  return (await device.store.read((tx) => tx.get('chatKeys', `${id}:${epoch}`)))!.key!;
}

export async function signerOf({ device }: Person): Promise<string> {
  const value = (await device.store.read((tx) => tx.get('states', 'e2e/identity')))!.value as { keys: { signing: { privateKey: string } }[] }; // prettier-ignore
  return value.keys.at(-1)!.signing.privateKey;
}
