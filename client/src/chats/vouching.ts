import { CHAT_VOUCH_PREFIX, type IdentityKeys } from '@pairline/protocol';
import { epochNumber } from '../keys/epoch.js';
import type { ChatMemberRecord, ChatRecord, PersonRecord } from '../store.js';
import { isSignedChange, readPublicKey } from './identity.js';
import { signed, type ChatContext } from './sealing.js';
import { sign, verifies } from './signing.js';
import { currentKey } from './trust.js';

// Who belongs into a group: whoever is vouched for by somebody who does, beginning with oneself (protocol/src/chat.ts).

/** Who vouches (`by`) for whom. */
interface Vouching {
  chatId: string;
  userId: string;
  by: string;
  epoch: number;
}

/** What is known of the people of a chat. */
interface Known {
  me: string;
  own: string[];
  person(userId: string): PersonRecord | undefined;
}

export async function vouch(own: IdentityKeys, publicKey: string, vouching: Vouching): Promise<string> {
  const text = await signed(contextOf(vouching), publicKey);
  return `${CHAT_VOUCH_PREFIX}${vouching.epoch}.${await sign(own.signing.privateKey, text)}`;
}

/** Whether who has the public key `signer` says that they belong there, with one of these keys, and says it since an epoch. */
export async function isVouch(
  text: string | undefined,
  signer: string,
  keys: string[],
  { since, ...place }: Omit<Vouching, 'epoch'> & { since: number },
): Promise<boolean> {
  const key = readPublicKey(signer)?.signing;
  if (key === undefined || !text?.startsWith(CHAT_VOUCH_PREFIX)) return false;
  const [number, signature, ...rest] = text.slice(CHAT_VOUCH_PREFIX.length).split('.');
  const epoch = epochNumber(number!);
  if (epoch === undefined || epoch < since || rest.length > 0) return false;
  for (const each of keys) if (await verifies(key, await signed(contextOf({ ...place, epoch }), each), signature)) return true; // prettier-ignore
  return false;
}

/** Of two people there is nobody to vouch, and nobody else. */
export function isVouched({ me, row }: ChatRecord, member: ChatMemberRecord): boolean {
  return row?.group === false || member.row.userId === me || member.vouched === true;
}

export function isIn(state: string): boolean {
  return state === 'accepted' || state === 'invited';
}

/** Those of `others` for whom somebody vouches who belongs there, or comes to by this. */
export async function vouchedAmong(
  others: ChatMemberRecord[],
  members: ChatMemberRecord[],
  known: Known,
): Promise<ChatMemberRecord[]> {
  const isHere = ({ row }: ChatMemberRecord) => isIn(row.state);
  // Who has gone vouches for nobody any more. It grows while it is walked through.
  const circle = members.filter((member) => isHere(member) && (member.row.userId === known.me || member.vouched));
  const waiting = new Set(others.filter((member) => isHere(member) && !circle.includes(member)));
  const found: ChatMemberRecord[] = [];
  for (const by of circle)
    for (const member of waiting)
      if (await vouchesFor(by, member, known)) {
        waiting.delete(member);
        found.push(member);
        circle.push(member);
      }
  return found;
}

async function vouchesFor(by: ChatMemberRecord, member: ChatMemberRecord, known: Known): Promise<boolean> {
  const { chatId, row, out } = member;
  const texts = [
    row.invitedBy === by.row.userId ? row.vouch : undefined,
    by.row.invitedBy === row.userId ? by.row.vouchBack : undefined,
  ].filter((text) => text !== undefined);
  if (texts.length === 0) return false;
  const signer = by.row.userId === known.me ? known.own.at(-1) : currentOf(known.person(by.row.userId));
  const keys = await keysOf(member, known.person(row.userId));
  const place = { chatId, userId: row.userId, by: by.row.userId, since: (out ?? 0) + 1 };
  for (const text of texts) if (signer !== undefined && (await isVouch(text, signer, keys, place))) return true;
  return false;
}

/** The keys that are believed to be theirs, and the one before, which signed the first that was heard of here. */
async function keysOf({ row }: ChatMemberRecord, person: PersonRecord | undefined): Promise<string[]> {
  const { publicKey, previousKey, keySignature } = row;
  const keys = person?.keys ?? [];
  if (previousKey === undefined || !keys.includes(publicKey)) return keys;
  return (await isSignedChange(previousKey, publicKey, keySignature)) ? [...keys, previousKey] : keys;
}

function currentOf(person: PersonRecord | undefined): string | undefined {
  return person && currentKey(person);
}

function contextOf({ chatId, userId, by, epoch }: Vouching): ChatContext {
  return { kind: 'member', chatId, id: userId, userId: by, epoch };
}
