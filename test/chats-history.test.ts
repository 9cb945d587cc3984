import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { AccountKeys } from '../src/changes/account-keys.js';
import { load, type Item } from '../src/chats/chat-load.js';
import { cleanUp, later } from './support/database.js';
import { aGroup, CHEAP, invite, people, post, respond, rowsOf, sealed, type Person } from './support/people.js';
import { TestServer } from './support/server.js';

// What somebody has who accepts an invitation: what was written since it, or with history before it as well.

let server: TestServer;
let url: string;

beforeAll(async () => {
  server = await TestServer.start(CHEAP);
  url = server.url;
});
afterAll(() => server.stop());
afterEach(cleanUp);

const path = (id: string, rest: string) => `/api/conversations/${id}${rest}`;

/** A group with something written before and after the invitations of four: of whom the last gets no history, the third blocks bob. */
async function aStory() {
  const [ada, bob, ...guests] = (await people(url, 6)) as [Person, Person, Person, Person, Person, Person];
  const id = await aGroup(ada, bob);
  const early = [await post(ada, id), await post(bob, id)];
  for (const author of [ada, bob]) await author.do('PUT', path(id, `/messages/${early[0]!.message_id}/reaction`), { content: sealed() }); // prettier-ignore
  const invitations: string[] = [];
  for (const [i, guest] of guests.entries())
    invitations.push((await invite(ada, guest, id, { history: i < 3 })).invitation_id);
  const late = await post(bob, id);
  await guests[2].do('PUT', `/api/blocks/${bob.id}`);
  const [first, second, third] = [...early, late].map(({ message_id }) => message_id) as [string, string, string];
  const wanted = [[first, second, third], [first, second, third], [first], [third]];
  return { ada, bob, guests, id, invitations, wanted, reactions: [2, 2, 1, 0], first };
}

test('those who accept at the same time have each what is theirs', async () => {
  const { guests, id, invitations, wanted, reactions } = await aStory();
  await Promise.all(guests.map((guest, i) => respond(guest, invitations[i]!)));
  const views = await Promise.all(guests.map((guest) => guest.snapshot()));
  expect(views.map((view) => [...rowsOf(view, 'chat.message', id).keys()])).toEqual(wanted);
  expect(views.map((view) => rowsOf(view, 'chat.reaction', id).size)).toEqual(reactions);
});

test('however many accept at the same time, what was written is read once', async () => {
  const { guests, id, invitations, wanted, reactions } = await aStory();
  const account = (await server.app.get(AccountKeys).find(id))!;
  const items = guests.map(({ id: by }, i): Item => {
    const row = { by, invitationId: invitations[i]!, accepted: true };
    return { mutation: { account, kind: 'chat', id, op: 'answer', row, at: Date.now(), bytes: 256 }, seq: 0, later: 0 };
  });
  const client = new pg.Client({ connectionString: server.database.url });
  await client.connect();
  later(() => client.end());
  const statements: string[] = [];
  const query = client.query.bind(client) as (config: pg.QueryConfig) => Promise<pg.QueryResult>;
  client.query = ((config: pg.QueryConfig) => {
    statements.push(config.name!);
    return query(config);
  }) as typeof client.query;
  const chat = (await load(client, items)).get(id)!;
  expect(statements.filter((name) => name === 'chat-since')).toHaveLength(2);
  expect(statements).toHaveLength(new Set(statements).size + 1);
  const waiting = invitations.map((invitation) => chat.awaiting(invitation).rows);
  const idsOf = (rows: (typeof waiting)[number], kind: string) =>
    rows.filter((row) => row.kind === kind).map((row) => row.id);
  expect(waiting.map((rows) => idsOf(rows, 'chat.message').reverse())).toEqual(wanted);
  expect(waiting.map((rows) => idsOf(rows, 'chat.reaction').length)).toEqual(reactions);
});
