import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';
import { phoneAt, told } from './support/client-ends.js';
import { accept, act, beginGroup, openAs, openSecond, PASSWORD, signIn } from './support/chat-page.js';
import { later } from './support/database.js';
import { painted } from './support/painted.js';
import { bubble, inChromium, inList, openConversation, openLinked, openSettings, serverWithPage, soon, status, write } from './support/page.js'; // prettier-ignore

// Private conversations and groups, between people with browsers of their own.

/** What a browser itself says of requests without a network. */
const NO_NETWORK = /ERR_INTERNET_DISCONNECTED|ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|WebSocket connection to/;
/** And of answers that are no. */
const REFUSED = /status of 4\d\d/;

inChromium('private conversations in a browser', (chromium) => {
  const message = (page: Page) => page.getByRole('textbox', { name: 'Message' });

  test('two people with two browsers each and a third write in a group, and nothing is lost or doubled', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'pairline-'));
    later(() => Promise.resolve(rmSync(dataDir, { recursive: true })));
    const server = await serverWithPage({ dataDir });
    const expected = [NO_NETWORK, REFUSED];
    const ann = await openAs(chromium, server, 'Ann Berg', { expected });
    const annToo = await openSecond(chromium, server, 'Ann Berg', ann, { expected });
    const bob = await openAs(chromium, server, 'Bob Lund', { expected });
    const bobToo = await openSecond(chromium, server, 'Bob Lund', bob, { expected });
    const cleo = await openAs(chromium, server, 'Cleo', { expected });
    await beginGroup(ann, 'Garden', ['Bob Lund', 'Cleo']);
    await accept(bob, 'Ann Berg');
    await accept(cleo, 'Ann Berg');
    await openConversation(annToo, 'Garden');
    await openConversation(bobToo, 'Garden');
    const all = [ann, annToo, bob, bobToo, cleo];

    // Typing is seen by the others, and stops by itself.
    await message(ann).pressSequentially('Who waters');
    for (const page of [bob, bobToo, cleo]) await page.getByText('Ann Berg is typing…').waitFor();
    await inList(cleo, 'Garden').getByText('typing…').waitFor();
    for (const page of [bob, cleo]) await page.getByText('is typing…').waitFor({ state: 'detached' });
    await message(ann).press('End');
    await message(ann).pressSequentially(' the tomatoes?');
    await message(ann).press('Enter');
    for (const page of all) await bubble(page, 'Who waters the tomatoes?').waitFor();
    await bubble(ann, 'tomatoes')
      .getByText(/Read|Delivered/)
      .waitFor();

    // Reactions, one a person.
    await act(bobToo, 'tomatoes', 'React 👍');
    await bubble(cleo, 'tomatoes').getByRole('button', { name: '👍 by Bob Lund' }).waitFor();
    await act(cleo, 'tomatoes', 'React 👍');
    for (const page of all) await bubble(page, 'tomatoes').getByRole('button', { name: '👍 by Bob Lund and Cleo' }).waitFor(); // prettier-ignore
    await act(cleo, 'tomatoes', 'React ❤️');
    for (const page of all) {
      await bubble(page, 'tomatoes').getByRole('button', { name: '❤️ by Cleo' }).waitFor();
      await bubble(page, 'tomatoes').getByRole('button', { name: '👍 by Bob Lund', exact: true }).waitFor();
    }
    await bubble(cleo, 'tomatoes').getByRole('button', { name: '❤️ by Cleo' }).click();
    for (const page of all) await bubble(page, 'tomatoes').getByRole('button', { name: '❤️' }).waitFor({ state: 'detached' }); // prettier-ignore

    // An answer, which says what it answers and leads there.
    await act(bob, 'tomatoes', 'Reply');
    await bob.getByText('Answer to Ann Berg').waitFor();
    await write(bob, 'I do, on Sunday');
    for (const page of all) await bubble(page, 'I do, on Sunday').getByText('Who waters the tomatoes?').waitFor();
    await bubble(ann, 'I do, on Sunday').getByRole('button', { name: 'Go to the message that this answers' }).click();
    await soon(async () => expect(await ann.evaluate(() => document.activeElement?.textContent)).toContain('Who waters the tomatoes?')); // prettier-ignore

    // Edited, and deleted for everyone.
    await act(bob, 'I do, on Sunday', 'Edit');
    expect(await message(bob).inputValue()).toBe('I do, on Sunday');
    await message(bob).fill('I do, on Monday');
    await message(bob).press('Enter');
    for (const page of all) await bubble(page, 'I do, on Monday').getByText('edited').waitFor();
    await write(cleo, 'Never mind this');
    for (const page of all) await bubble(page, 'Never mind this').waitFor();
    await act(cleo, 'Never mind this', 'Delete for everyone');
    await cleo.getByRole('dialog').getByRole('button', { name: 'Delete for everyone' }).click();
    for (const page of all) {
      await bubble(page, 'This message was deleted').waitFor();
      expect(await bubble(page, 'Never mind this').count()).toBe(0);
    }

    // A picture: seen by all, and by nobody on the server.
    const png = painted(160, 120);
    await annToo.locator('input[type=file]').setInputFiles({ name: 'beds.png', mimeType: 'image/png', buffer: png });
    await annToo.getByRole('list', { name: 'Files to send' }).getByText('Ready to send').waitFor();
    await write(annToo, 'The new beds');
    for (const page of all) {
      await bubble(page, 'The new beds')
        .getByRole('button', { name: /beds\.png/ })
        .click();
      const picture = page.getByRole('dialog').getByRole('img');
      await picture.waitFor();
      await soon(async () => expect(await picture.evaluate(({ naturalWidth, naturalHeight }: HTMLImageElement) => [naturalWidth, naturalHeight])).toEqual([160, 120])); // prettier-ignore
      await page.keyboard.press('Escape');
    }
    const kept = readdirSync(join(dataDir, 'files'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => readFileSync(join(entry.parentPath, entry.name))); // prettier-ignore
    expect(kept.some(({ length }) => length >= png.length)).toBe(true);
    for (const bytes of kept) {
      expect(bytes.includes(png.subarray(0, 8))).toBe(false);
      expect(bytes.includes(png.subarray(60, 92))).toBe(false);
    }

    // Cut off, and back: what was written on both sides is there once.
    await bob.context().setOffline(true);
    await ann.context().setOffline(true);
    server.app.getHttpServer().closeAllConnections();
    for (const page of [ann, bob]) await status(page, 'No connection').waitFor();
    for (const text of ['Offline one', 'Offline two']) await write(bob, text);
    await write(ann, 'Ann without a network');
    await bubble(bob, 'Offline two').getByText('Waiting for a connection').waitFor();
    await write(cleo, 'Meanwhile');
    await bubble(bobToo, 'Meanwhile').waitFor();
    expect(await bubble(bobToo, 'Offline one').count()).toBe(0);
    await bob.context().setOffline(false);
    await ann.context().setOffline(false);
    for (const page of all)
      for (const text of ['Offline one', 'Offline two', 'Ann without a network', 'Meanwhile']) {
        await bubble(page, text).waitFor();
        expect(await bubble(page, text).count()).toBe(1);
      }
    const lines = (page: Page) => page.getByRole('list', { name: 'Messages' }).locator('[data-message]').evaluateAll((rows) => rows.map((row) => row.getAttribute('data-message'))); // prettier-ignore
    const first = await soon(async () => {
      const shown = await Promise.all(all.map(lines));
      for (const each of shown) expect(each).toEqual(shown[0]);
      return shown[0]!;
    });
    expect(new Set(first).size).toBe(first.length);

    // How far a message is with each of the others.
    await act(bob, 'Offline two', 'Details');
    const receipts = bob.getByRole('dialog').getByRole('region', { name: 'With the others' });
    for (const name of ['Ann Berg', 'Cleo']) await receipts.getByRole('listitem').filter({ hasText: name }).getByText(/Delivered|Read/).waitFor(); // prettier-ignore
    await bob.keyboard.press('Escape');

    // Whoever is taken out reads nothing more.
    await ann.getByRole('link', { name: 'About this conversation' }).click();
    await ann.getByRole('button', { name: 'Actions for Cleo' }).click();
    await ann.getByRole('menuitem', { name: 'Take out of the group' }).click();
    await ann.getByRole('dialog').getByRole('button', { name: 'Take out of the group' }).click();
    await cleo.getByText('You were taken out of this group').waitFor();
    await ann.getByRole('button', { name: 'Back', exact: true }).first().click();
    await write(ann, 'Among the two of us');
    for (const page of [annToo, bob, bobToo]) await bubble(page, 'Among the two of us').waitFor();
    expect(await message(cleo).count()).toBe(0);
    expect(await bubble(cleo, 'Among the two of us').count()).toBe(0);
    // Not a word of anybody has been sent in the clear.
    for (const page of all as (Page & { sent: { frames: string[]; requests: { body: string }[] } })[]) {
      const everything = [...page.sent.frames, ...page.sent.requests.map(({ body }) => body)].join('\n');
      expect(everything).not.toMatch(/tomatoes|Monday|Never mind|new beds|beds\.png|Offline one|Garden/);
    }
  });

  /** Two people in a conversation of their own. */
  async function two(expected = [REFUSED]) {
    const server = await serverWithPage();
    const ann = await openAs(chromium, server, 'Ann Berg', { expected });
    const bob = await openAs(chromium, server, 'Bob Lund', { expected });
    await ann.getByRole('link', { name: 'New conversation' }).click();
    await ann.getByLabel('Name', { exact: true }).fill('bob');
    await ann.getByRole('button', { name: /Bob Lund/ }).click();
    await ann.getByText('Bob Lund has not accepted yet').waitFor();
    await write(ann, 'Are you there?');
    await accept(bob, 'Ann Berg would like to write to you');
    await bubble(bob, 'Are you there?').waitFor();
    await ann.getByText('has not accepted yet').waitFor({ state: 'detached' });
    return { server, ann, bob };
  }

  test('a member for whom nobody vouches is shown, until somebody says that they belong there', async () => {
    const server = await serverWithPage();
    const ann = await openAs(chromium, server, 'Ann Berg');
    const bob = await openAs(chromium, server, 'Bob Lund');
    const cleo = await openAs(chromium, server, 'Cleo');
    // As if it were the server's doing: what Ann signed of Cleo does not arrive.
    await ann.route('**/api/conversations/invite', (route) => {
      const body = route.request().postDataJSON() as { pseudo: string; vouch?: string };
      if (body.pseudo === 'Cleo') delete body.vouch;
      return route.continue({ postData: JSON.stringify(body) });
    });
    await beginGroup(ann, 'Garden', ['Bob Lund', 'Cleo']);
    await accept(bob, 'Ann Berg');
    await accept(cleo, 'Ann Berg');
    await bob.getByRole('alert').getByText('nobody you have reason to believe vouches for them: Cleo.').waitFor();
    await inList(bob, 'Garden').getByText('Nobody vouches for somebody in it').waitFor();
    // She has asked for Cleo herself.
    await write(ann, 'Hello you two');
    for (const page of [bob, cleo]) await bubble(page, 'Hello you two').waitFor();
    expect(await ann.getByRole('alert').count()).toBe(0);
    await bob.getByRole('link', { name: 'About this conversation' }).click();
    const members = bob.getByRole('list', { name: 'Members' }).getByRole('listitem');
    await members.filter({ hasText: 'Cleo' }).getByText('Not vouched for').waitFor();
    expect(await members.filter({ hasText: 'Ann Berg' }).getByText('Not vouched for').count()).toBe(0);
    await bob.getByRole('button', { name: 'They belong here' }).click();
    await bob.getByRole('alert').waitFor({ state: 'detached' });
    await members.getByText('Not vouched for').waitFor({ state: 'detached' });
    await bob.getByRole('button', { name: 'Back', exact: true }).first().click();
    await write(bob, 'Welcome, Cleo');
    for (const page of [ann, cleo]) await bubble(page, 'Welcome, Cleo').waitFor();
  });

  test('a key that somebody changed without a sign is warned about, until the safety words were compared', async () => {
    const { server, ann, bob } = await two();
    await write(bob, 'From before');
    await bubble(ann, 'From before').waitFor();
    const again = await chromium.open(server, { expected: [REFUSED] });
    await signIn(again, 'Ann Berg');
    await again.getByRole('button', { name: 'I have none of those devices any more' }).click();
    await again.getByRole('dialog').getByText('cannot be read here, ever').waitFor();
    await again.getByRole('dialog').getByRole('button', { name: 'Start over' }).click();
    await bob.getByRole('alert').getByText('Ann Berg has a new key, and nobody can say whether it is theirs').waitFor();
    await inList(bob, 'Ann Berg').getByText('A key has changed').waitFor();
    await ann.getByRole('alert').getByText('This browser was removed from your account').waitFor();

    await bob.getByRole('button', { name: 'Compare safety words' }).click();
    const shown = async (page: Page) => {
      await page.getByRole('dialog').getByRole('listitem').first().waitFor();
      return page.getByRole('dialog').getByRole('listitem').allTextContents();
    };
    const words = await shown(bob);
    expect(words).toHaveLength(12);
    await openConversation(again, 'Bob Lund');
    await again.getByRole('link', { name: 'About this conversation' }).click();
    await again.getByRole('list', { name: 'Members' }).getByRole('button', { name: 'Actions for Bob Lund' }).click();
    await again.getByRole('menuitem', { name: 'Safety words' }).click();
    expect(await shown(again)).toEqual(words);
    await again.keyboard.press('Escape');
    await bob.getByRole('button', { name: 'They are the same' }).click();
    await bob.getByRole('alert').waitFor({ state: 'detached' });
    await again.getByRole('button', { name: 'Back', exact: true }).first().click();
    await write(bob, 'Now I know it is you');
    await bubble(again, 'Now I know it is you').waitFor();
    await write(again, 'It is');
    await bubble(bob, 'It is').waitFor();
    expect(await bubble(again, 'From before').count()).toBe(0);
  });

  test('new keys that the old ones signed are told quietly, and nothing stops', async () => {
    const { ann, bob } = await two();
    await openSettings(ann);
    await ann.getByRole('button', { name: 'Make new keys' }).click();
    await ann.getByRole('dialog').getByRole('button', { name: 'Make new keys' }).click();
    await ann.getByText('Your keys are new').waitFor();
    await bob.getByText('Ann Berg has a new key, and signed it with the old one.').waitFor();
    expect(await bob.getByRole('alert').count()).toBe(0);
    await write(bob, 'Still here');
    await openConversation(ann, 'Bob Lund');
    await bubble(ann, 'Still here').waitFor();
    await bob.getByRole('button', { name: 'All right' }).click();
    await bob.getByText('signed it with the old one').waitFor({ state: 'detached' });
  });

  test('who is blocked is not heard any more, and muted ones make no notification', async () => {
    const { ann, bob } = await two();
    await bob.getByRole('link', { name: 'About this conversation' }).click();
    await bob.getByRole('list', { name: 'Members' }).getByRole('button', { name: 'Actions for Ann Berg' }).click();
    await bob.getByRole('menuitem', { name: 'Block' }).click();
    await bob.getByRole('dialog').getByRole('button', { name: 'Block' }).click();
    await bob.getByRole('list', { name: 'Members' }).getByText('Blocked').waitFor();
    await write(ann, 'Not heard');
    await bubble(ann, 'Not heard').getByText('Sent').waitFor();
    await openSettings(bob);
    await bob.getByRole('listitem').filter({ hasText: 'Ann Berg' }).getByRole('button', { name: 'Unblock' }).click();
    await bob.getByText('You have blocked nobody.').waitFor();
    await write(ann, 'Heard again');
    await inList(bob, 'Ann Berg').getByText('Heard again').waitFor();
    await openConversation(bob, 'Ann Berg');
    await bubble(bob, 'Heard again').waitFor();
    expect(await bubble(bob, 'Not heard').count()).toBe(0);

    // Nobody looks, and it is muted.
    await inList(bob, 'Ann Berg').click({ button: 'right' });
    await bob.getByRole('menuitem', { name: 'Mute' }).click();
    await inList(bob, 'Ann Berg').getByText('Muted').waitFor();
    await bob.evaluate(() => {
      Object.defineProperty(document, 'visibilityState', { get: () => 'hidden', configurable: true });
      document.hasFocus = () => false;
    });
    await write(ann, 'In silence');
    await inList(bob, 'In silence').getByText('1 unread message').waitFor();
    expect(await bob.getByText('Shall Pairline tell you').count()).toBe(0);
    expect(await bob.title()).toBe('Pairline');
    await inList(bob, 'Ann Berg').click({ button: 'right' });
    await bob.getByRole('menuitem', { name: 'Unmute' }).click();
    await write(ann, 'Aloud');
    await bob.getByText('Shall Pairline tell you').waitFor();
    await bob.waitForFunction(() => document.title === '(2) Pairline');
  });

  test('who is mentioned sees it in the list and in the thread', async () => {
    const { ann, bob } = await two();
    await bob.getByRole('link', { name: 'New conversation' }).click();
    await message(ann).pressSequentially('Hey @bo');
    await ann.getByRole('option', { name: 'Bob Lund' }).waitFor();
    await message(ann).press('Tab');
    await message(ann).press('Enter');
    await bob.goBack();
    await bubble(bob, 'Hey @Bob Lund').locator('.mention-me').waitFor();
    await bob.evaluate(() => { document.hasFocus = () => false; }); // prettier-ignore
    await bob.getByRole('link', { name: 'Settings' }).click();
    await write(ann, 'And @Bob Lund?');
    await inList(bob, 'Ann Berg').getByText('You are mentioned').waitFor();
  });

  test('what was written is found by the search, and shown where it stands', async () => {
    const { ann, bob } = await two();
    for (let i = 0; i < 3; i++) await write(bob, `Line ${i}`);
    await write(bob, 'Where is the xylophone?');
    await bubble(ann, 'xylophone').waitFor();
    await ann.getByRole('searchbox').fill('xylo');
    const results = ann.getByRole('group', { name: 'Messages' });
    await results.getByText('Bob Lund: ').waitFor();
    await write(bob, 'The xylophone is here.');
    await bubble(ann, 'xylophone is here').waitFor();
    await act(bob, 'Where is the xylophone?', 'Delete for everyone');
    await bob.getByRole('dialog').getByRole('button', { name: 'Delete for everyone' }).click();
    await bubble(ann, 'This message was deleted').waitFor();
    await ann.getByRole('searchbox').fill('xyloph');
    await results.getByText('is here').waitFor();
    expect(await results.getByRole('link').count()).toBe(1);
    await results.getByRole('link').click();
    await soon(async () => expect(await ann.evaluate(() => document.activeElement?.textContent)).toContain('is here'));
    await ann.getByRole('searchbox').fill('lund');
    await ann
      .getByRole('group', { name: 'Conversations' })
      .getByRole('link', { name: /Bob Lund/ })
      .waitFor();
  });

  test('a group: who may do what, an invitation with what was written before, handing over, leaving, the end', async () => {
    const server = await serverWithPage();
    const expected = [REFUSED];
    const ann = await openAs(chromium, server, 'Ann Berg', { expected });
    const bob = await openAs(chromium, server, 'Bob Lund', { expected });
    const cleo = await openAs(chromium, server, 'Cleo', { expected });
    await beginGroup(ann, 'Choir', ['Bob Lund']);
    await accept(bob, 'Ann Berg');
    await write(ann, 'First song');
    await bubble(bob, 'First song').waitFor();
    await bob.getByRole('link', { name: 'About this conversation' }).click();
    await bob.getByRole('list', { name: 'Members' }).getByText('Owner').waitFor();
    expect(await bob.getByRole('heading', { name: 'Invite somebody' }).count()).toBe(0);

    await ann.getByRole('link', { name: 'About this conversation' }).click();
    await ann.getByLabel('They may read what was written before').check();
    await ann.getByLabel('Name', { exact: true }).fill('Nobody at all');
    await ann.getByRole('button', { name: 'Invite', exact: true }).click();
    await ann.getByText('Nobody here has this name.').waitFor();
    await ann.getByLabel('Name', { exact: true }).fill('Cleo');
    await ann.getByRole('region', { name: 'People on this Pairline' }).getByRole('button', { name: 'Cleo' }).click();
    await ann.getByText('Cleo is invited').waitFor();
    await accept(cleo, 'Ann Berg');
    await bubble(cleo, 'First song').waitFor();

    const member = (page: Page, name: string) => page.getByRole('list', { name: 'Members' }).getByRole('listitem').filter({ hasText: name }); // prettier-ignore
    const choose = async (page: Page, name: string, action: string) => {
      await page.getByRole('button', { name: `Actions for ${name}` }).click();
      await page.getByRole('menuitem', { name: action }).click();
    };
    await choose(ann, 'Bob Lund', 'Make admin');
    await member(bob, 'Bob Lund').getByText('Admin').waitFor();
    await bob.getByLabel('Name of the group').fill('Big choir');
    await bob.getByRole('button', { name: 'Save' }).click();
    for (const page of [ann, cleo]) await inList(page, 'Big choir').waitFor();
    await choose(ann, 'Bob Lund', 'Hand the group over');
    await ann.getByRole('dialog').getByRole('button', { name: 'Hand the group over' }).click();
    await member(bob, 'Bob Lund').getByText('Owner').waitFor();
    await member(bob, 'Ann Berg').getByText('Admin').waitFor();
    await ann.getByRole('button', { name: 'Leave the group' }).click();
    await ann.getByRole('dialog').getByRole('button', { name: 'Leave the group' }).click();
    await openConversation(ann, 'Big choir');
    await ann.getByText('You left this conversation.').waitFor();
    await member(bob, 'Ann Berg').waitFor({ state: 'detached' });
    await bob.getByRole('button', { name: 'End the group for all' }).click();
    await bob.getByRole('dialog').getByRole('button', { name: 'End the group for all' }).click();
    await inList(cleo, 'Big choir').waitFor({ state: 'detached' });
  });

  test('an account of a phone gets a name, is found by it, and has texts and private conversations in one list', async () => {
    const server = await serverWithPage();
    const phone = await phoneAt(server.url);
    const page = await openLinked(chromium, server, phone, { expected: [REFUSED] });
    await phone.putConversations([{ id: 't1', number: '+4915112345678', name: 'Bea' }]);
    await phone.putMessages([told('A text message')]);
    await openConversation(page, 'Bea');
    await bubble(page, 'A text message').click({ button: 'right' });
    await page.getByText('the network has no reactions, edits or read marks').waitFor();
    await page.keyboard.press('Escape');

    const bob = await openAs(chromium, server, 'Bob Lund', { expected: [REFUSED] });
    await openSettings(page);
    const form = page.getByRole('form', { name: 'Be found by others' });
    await form.getByLabel('Name', { exact: true }).fill('Bob Lund');
    await form.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await form.getByLabel('Password once more').fill('something else');
    await form.getByRole('button', { name: 'Save name and password' }).click();
    await form.getByText('The two passwords are not the same.').waitFor();
    await form.getByLabel('Password once more').fill(PASSWORD);
    await form.getByRole('button', { name: 'Save name and password' }).click();
    await page.getByText('Somebody has this name already.').waitFor();
    await form.getByLabel('Name', { exact: true }).fill('Ann Berg');
    await form.getByRole('button', { name: 'Save name and password' }).click();
    await page.getByText('Your name and password are saved').waitFor();

    await bob.getByRole('link', { name: 'New conversation' }).click();
    await bob.getByLabel('Name', { exact: true }).fill('ann');
    await bob.getByRole('button', { name: /Ann Berg/ }).click();
    await write(bob, 'Found you');
    await accept(page, 'Bob Lund');
    await bubble(page, 'Found you').waitFor();
    const names = () => page.getByRole('list', { name: 'Conversations' }).getByRole('listitem').evaluateAll((rows) => rows.map((row) => /Bea|Bob Lund/.exec(row.textContent)?.[0])); // prettier-ignore
    await soon(async () => expect(await names()).toEqual(['Bob Lund', 'Bea']));
    await phone.putMessages([told('A newer text', { timestamp: Date.now() + 60_000 })]);
    await soon(async () => expect(await names()).toEqual(['Bea', 'Bob Lund']));
    // And it signs in by them elsewhere, where the phone is to let it in.
    const elsewhere = await chromium.open(server, { expected: [REFUSED] });
    await signIn(elsewhere, 'Ann Berg');
    await elsewhere.getByRole('heading', { name: 'One more step: your keys' }).waitFor();
    await phone.pair(await elsewhere.getByLabel('Paste this link').inputValue());
    await inList(elsewhere, 'Bob Lund').waitFor();
    await openConversation(elsewhere, 'Bob Lund');
    await bubble(elsewhere, 'Found you').waitFor();
  });
});
