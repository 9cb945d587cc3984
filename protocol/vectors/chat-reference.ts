import { createHash, createPrivateKey, createPublicKey, sign as signBytes, verify as verifyBytes } from 'node:crypto';
import { decrypt, encrypt, fixed, hkdf, hpkeSeal, publicOf, safetyWords, text, utf8 } from './reference.js';

// The formats of chat.ts a second time, as reference.ts has those of the others.

type Bytes = Uint8Array;

const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const SPKI = Buffer.from('302a300506032b6570032100', 'hex');

const signingKey = (raw: Bytes) => createPrivateKey({ key: Buffer.concat([PKCS8, raw]), format: 'der', type: 'pkcs8' });

/** The public key of an Ed25519 key. */
export function signerOf(raw: Bytes): Buffer {
  return createPublicKey(signingKey(raw)).export({ format: 'der', type: 'spki' }).subarray(-32);
}

export function sign(raw: Bytes, message: string): string {
  return signBytes(null, utf8(message), signingKey(raw)).toString('base64url');
}

export function verify(publicKey: Bytes, message: string, signature: string): boolean {
  const key = createPublicKey({ key: Buffer.concat([SPKI, publicKey]), format: 'der', type: 'spki' });
  return verifyBytes(null, utf8(message), key, Buffer.from(signature, 'base64url'));
}

export interface ChatContext {
  kind: string;
  chatId: string;
  id: string;
  userId: string;
  epoch: number;
}

export const chatKey = (epochKey: Bytes): Buffer => hkdf(epochKey, 'pairline/1 chat');
const contextOf = ({ kind, chatId, id, userId, epoch }: ChatContext): string => [kind, chatId, id, userId, epoch].join('|'); // prettier-ignore
export const chatAad = (context: ChatContext): string => `pairline/1 chat|${contextOf(context)}`;
export const chatSigned = (context: ChatContext, body: string): string =>
  `pairline/1 chat signature|${contextOf(context)}|${createHash('sha256').update(body).digest('base64url')}`;

export function sealChat(epochKey: Bytes, signer: Bytes, context: ChatContext, iv: Bytes, body: string): string {
  const plaintext = JSON.stringify({ body, signature: sign(signer, chatSigned(context, body)) });
  const sealed = encrypt(chatKey(epochKey), iv, utf8(chatAad(context)), utf8(plaintext));
  return Buffer.concat([iv, sealed]).toString('base64');
}

/** Throws for what was not sealed for this place, or not by who has the public key `signer`. Answers the body. */
export function openChat(epochKey: Bytes, signer: Bytes, context: ChatContext, content: string): string {
  const bytes = Buffer.from(content, 'base64');
  const plaintext = decrypt(chatKey(epochKey), bytes.subarray(0, 12), utf8(chatAad(context)), bytes.subarray(12));
  const { body, signature } = JSON.parse(plaintext.toString('utf8')) as { body: string; signature: string };
  if (!verify(signer, chatSigned(context, body), signature)) throw new Error('Not by its author');
  return body;
}

export interface Wrapping {
  chatId: string;
  epoch: number;
  from: string;
  to: string;
}

export const wrappingUse = ({ chatId, epoch, from, to }: Wrapping) => ({
  info: 'pairline/1 chat key',
  aad: [chatId, epoch, from, to].join('|'),
});

export const changeOf = (old: string, next: string): string => `pairline/1 identity|${old}|${next}`;

function person(name: string, userId: string) {
  const [exchange, signing] = [fixed(`exchange ${name}`), fixed(`signing ${name}`)];
  return {
    userId,
    exchange,
    signing,
    keys: {
      exchange: { privateKey: text(exchange), publicKey: text(publicOf(exchange)) },
      signing: { privateKey: text(signing), publicKey: text(signerOf(signing)) },
    },
    publicKey: `pairline-id1.${text(publicOf(exchange))}.${text(signerOf(signing))}`,
  };
}

/** The contents of chat.json. */
export function chats() {
  const ann = person('ann', '0191d3c4-6f2e-7b1a-9c55-3f0a7d1e2b40');
  const bob = person('bob', '0191d3c4-7a10-7c2d-8e11-5b6c7d8e9f00');
  const annNow = person('ann now', ann.userId);
  const chatId = '0191d3c5-0000-7000-8000-000000000001';
  const messageId = '0191d3c5-1111-7111-8111-111111111111';
  const epochKey = fixed('chat epoch 2');
  const wrapping = { chatId, epoch: 2, from: ann.userId, to: bob.userId };
  const ephemeral = fixed('chat key');
  const sealed = (name: string, kind: string, id: string, value: unknown) => {
    const context = { kind, chatId, id, userId: ann.userId, epoch: 2 };
    const body = JSON.stringify(value);
    const iv = fixed(name).subarray(0, 12);
    const content = sealChat(epochKey, ann.signing, context, iv, body);
    return { name, ...context, iv: text(iv), aad: chatAad(context), signed: chatSigned(context, body), body, content };
  };
  const opened = [
    sealed('a message', 'message', messageId, { text: 'See you at 6 👋', sent: 1760000000000 }),
    sealed('an edited answer that mentions somebody', 'message', 'é|2', { text: '@bob yes', replyTo: messageId, mentions: [{ userId: bob.userId, at: 0, length: 4 }], sent: 1760000000001, edit: 2 }), // prettier-ignore
    sealed('a reaction', 'reaction', messageId, { emoji: '🎉', version: 1760000000002 }),
    sealed('a name', 'name', chatId, { name: 'Café crew', version: 1760000000003 }),
  ];
  const message = opened[0]!;
  const member = { kind: 'member', chatId, id: bob.userId, userId: ann.userId, epoch: 2 };
  const forged = { kind: 'message', chatId, id: messageId, userId: bob.userId, epoch: 2 };
  return {
    people: [ann, bob, annNow].map(({ userId, keys, publicKey }) => ({
      userId,
      keys,
      publicKey,
      fingerprint: createHash('sha256').update(publicKey).digest('hex'),
    })),
    safetyWords: safetyWords('people', [ann.publicKey, bob.publicKey], 12),
    change: { from: ann.publicKey, to: annNow.publicKey, signature: sign(ann.signing, changeOf(ann.publicKey, annNow.publicKey)) }, // prettier-ignore
    wrapping: {
      ...wrapping,
      key: text(epochKey),
      ephemeralPrivateKey: text(ephemeral),
      wrapped: hpkeSeal(publicOf(bob.exchange), ephemeral, wrappingUse(wrapping), epochKey, ann.exchange),
    },
    contentKey: text(chatKey(epochKey)),
    vouching: {
      ...member,
      publicKey: bob.publicKey,
      vouch: `pcv1.2.${sign(ann.signing, chatSigned(member, bob.publicKey))}`,
    },
    opened,
    name: `pcn1.2.${ann.userId}.${opened[3]!.content}`,
    refused: [
      { name: 'another message', context: { ...message, id: 'other' }, content: message.content, fault: 'tampered' },
      { name: 'another author', context: { ...message, userId: bob.userId }, content: message.content, fault: 'tampered' }, // prettier-ignore
      { name: 'another epoch', context: { ...message, epoch: 3 }, content: message.content, fault: 'tampered' },
      { name: 'a message as a reaction', context: { ...message, kind: 'reaction' }, content: message.content, fault: 'tampered' }, // prettier-ignore
      { name: 'by Ann, in the name of Bob', context: forged, content: sealChat(epochKey, ann.signing, forged, fixed('forged').subarray(0, 12), '{"text":"I owe you","sent":1}'), fault: 'wrong-author' }, // prettier-ignore
    ].map(({ context: { kind, chatId, id, userId, epoch }, ...rest }) => ({
      ...rest,
      kind,
      chatId,
      id,
      userId,
      epoch,
    })),
  };
}
