import { readFile } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import { PEOPLE_SAFETY, PEOPLE_SAFETY_WORDS } from '@pairline/protocol';
import { fingerprintOf, isSignedChange, newIdentity, publicKeyOf, readPublicKey, signChange, unwrap, wrap } from '../client/src/chats/identity.js'; // prettier-ignore
import { nameOf, openChat, readName, sealChat, type ChatContext } from '../client/src/chats/sealing.js';
import { isVouch, vouch } from '../client/src/chats/vouching.js';
import { safetyWords } from '../client/src/keys/words.js';
import * as reference from '../protocol/vectors/chat-reference.js';
import { hpkeOpen } from '../protocol/vectors/reference.js';

// As client-vectors.test.ts: what people write to each other, held against an implementation of its own in both directions.

const vectors = JSON.parse(await readFile(new URL('../protocol/vectors/chat.json', import.meta.url), 'utf8')) as ReturnType<typeof reference.chats>; // prettier-ignore
const bytes = (text: string) => Buffer.from(text, 'base64url');
const [ann, bob] = vectors.people as [(typeof vectors.people)[0], (typeof vectors.people)[0]];

test('the file says what the second implementation makes', () => {
  expect(JSON.parse(JSON.stringify(reference.chats()))).toEqual(vectors);
});

test('the client publishes the keys, fingerprints and safety words of the vectors', async () => {
  for (const { keys, publicKey, fingerprint } of vectors.people) {
    expect(publicKeyOf(keys)).toBe(publicKey);
    expect(readPublicKey(publicKey)).toEqual({ exchange: keys.exchange.publicKey, signing: keys.signing.publicKey });
    expect(await fingerprintOf(publicKey)).toBe(fingerprint);
  }
  expect(vectors.safetyWords).toHaveLength(12);
  for (const [one, other] of [[ann, bob], [bob, ann]] as const) // prettier-ignore
    expect(await safetyWords(PEOPLE_SAFETY, one.publicKey, other.publicKey, PEOPLE_SAFETY_WORDS)).toEqual(vectors.safetyWords); // prettier-ignore
});

test('a public key that is not whole, or of another app, is none', () => {
  const { publicKey } = ann;
  for (const other of [
    '',
    '-----BEGIN PUBLIC KEY-----',
    publicKey.slice(0, -1),
    `${publicKey}.AA`,
    publicKey.replace('id1', 'id2'),
    publicKey.replace('.', '..'),
  ])
    // prettier-ignore
    expect([other, readPublicKey(other)]).toEqual([other, undefined]);
});

test('a change of keys counts with the signature of the vectors, and with no other', async () => {
  const { from, to, signature } = vectors.change;
  expect(await isSignedChange(from, to, signature)).toBe(true);
  expect(await signChange(ann.keys, to)).toBe(signature);
  expect(await isSignedChange(from, bob.publicKey, signature)).toBe(false);
  expect(await isSignedChange(bob.publicKey, to, signature)).toBe(false);
  for (const other of [undefined, '', 'A', signature.slice(2), `${signature}AA`])
    expect(await isSignedChange(from, to, other)).toBe(false);
});

test('who is vouched for in the vectors is so for the client, and nobody else, nowhere else', async () => {
  const { chatId, id: userId, userId: by, epoch, publicKey, vouch: text } = vectors.vouching;
  const place = { chatId, userId, by };
  expect(await vouch(ann.keys, publicKey, { ...place, epoch })).toBe(text);
  const takes = (given: string | undefined, changed: object, signer = ann.publicKey, keys = [publicKey]) =>
    isVouch(given, signer, keys, { ...place, since: epoch, ...changed });
  expect(await takes(text, {})).toBe(true);
  expect(await takes(text, {}, ann.publicKey, [ann.publicKey, publicKey])).toBe(true);
  for (const changed of [{ chatId: 'other' }, { userId: by }, { by: userId }, { since: epoch + 1 }])
    expect([changed, await takes(text, changed)]).toEqual([changed, false]);
  expect(await takes(text, {}, bob.publicKey)).toBe(false);
  expect(await takes(text, {}, 'another app’s key')).toBe(false);
  expect(await takes(text, {}, ann.publicKey, [ann.publicKey])).toBe(false);
  expect(await takes(text, {}, ann.publicKey, [])).toBe(false);
  for (const other of [
    undefined,
    '',
    'pcv1.',
    'pcv1.2',
    `${text}.`,
    `${text}A`,
    text.replace('.2.', '.3.'),
    text.replace('.2.', '.02.'),
  ])
    expect([other, await takes(other, {})]).toEqual([other, false]);
});

test('the client takes the wrapped key of the vectors, and only where and from whom it was made', async () => {
  const { wrapped, key, ...wrapping } = vectors.wrapping;
  const take = (changed: object, senders = [ann.publicKey]) => unwrap(wrapped, senders, { ...wrapping, ...changed }, [bob.keys]); // prettier-ignore
  const taken = { key, sender: ann.publicKey };
  expect(await take({})).toEqual(taken);
  expect(await take({}, [ann.publicKey, vectors.people[2]!.publicKey])).toEqual(taken);
  for (const changed of [{ chatId: 'other' }, { epoch: 3 }, { from: bob.userId }, { to: ann.userId }])
    expect([changed, await take(changed)]).toEqual([changed, undefined]);
  expect(await take({}, [bob.publicKey])).toBeUndefined();
  expect(await take({}, [])).toBeUndefined();
});

test('the second implementation takes a key that the client wraps', async () => {
  const { key } = vectors.wrapping;
  const wrapping = { chatId: 'c', epoch: 7, from: ann.userId, to: bob.userId };
  const wrapped = await wrap(key, bob.publicKey, wrapping, ann.keys);
  const { exchange } = bob.keys;
  const opened = hpkeOpen(wrapped!, bytes(exchange.privateKey), reference.wrappingUse(wrapping), bytes(ann.keys.exchange.publicKey)); // prettier-ignore
  expect(opened.toString('base64url')).toBe(key);
  expect(await wrap(key, 'another app’s key', wrapping, ann.keys)).toBeUndefined();
});

test('the client opens what is sealed in the vectors, and sees by whom it is', async () => {
  const signer = [ann.keys.signing.publicKey];
  for (const { name, body, content, ...context } of vectors.opened) {
    const opened = await openChat(vectors.wrapping.key, context as ChatContext, content);
    expect([name, opened?.value, await opened?.isBy(signer)]).toEqual([name, JSON.parse(body), true]);
    expect(await opened?.isBy([bob.keys.signing.publicKey])).toBe(false);
  }
  const { epoch, userId, content } = readName(vectors.name)!;
  expect({ epoch, userId, content }).toEqual({ epoch: 2, userId: ann.userId, content: vectors.opened[3]!.content });
  expect(nameOf({ epoch, userId }, content)).toBe(vectors.name);
});

test('the client refuses what the vectors say is to be refused', async () => {
  for (const { name, content, fault, ...context } of vectors.refused) {
    const opened = await openChat(vectors.wrapping.key, context as ChatContext, content);
    const by = context.userId === bob.userId ? bob : ann;
    const isBy = await opened?.isBy([by.keys.signing.publicKey]);
    expect([name, opened === undefined ? 'tampered' : isBy ? undefined : 'wrong-author']).toEqual([name, fault]);
  }
});

test('no bit of what is sealed can be altered, and it is written in one way only', async () => {
  const { content, ...context } = vectors.opened[0]!;
  const whole = Buffer.from(content, 'base64');
  for (let i = 0; i < whole.length; i++) {
    const altered = Buffer.from(whole);
    altered[i]! ^= 1 << (i % 8);
    expect(await openChat(vectors.wrapping.key, context as ChatContext, altered.toString('base64'))).toBeUndefined();
  }
  for (const other of [
    '',
    content.slice(0, -4),
    whole.toString('base64url'),
    `${content}=`,
    ` ${content}`,
    content.replace(/=+$/, ''),
  ])
    // prettier-ignore
    if (other !== content) expect(await openChat(vectors.wrapping.key, context as ChatContext, other)).toBeUndefined();
});

test('the second implementation opens what the client seals', async () => {
  const identity = await newIdentity();
  const context = { kind: 'message', chatId: 'c', id: 'm|☎', userId: 'u', epoch: 4 } as const;
  const content = await sealChat(vectors.wrapping.key, identity.signing.privateKey, context, { text: 'Ünïcode 👋', sent: 1 }); // prettier-ignore
  const body = reference.openChat(bytes(vectors.wrapping.key), bytes(identity.signing.publicKey), context, content);
  expect(JSON.parse(body)).toEqual({ text: 'Ünïcode 👋', sent: 1 });
  expect(() => reference.openChat(bytes(vectors.wrapping.key), bytes(ann.keys.signing.publicKey), context, content)).toThrow(); // prettier-ignore
});
