import { STATE, type FlagsValue } from '@pairline/protocol';
import type {
  ChatMemberRecord,
  ChatMessageRecord,
  ChatReactionRecord,
  ChatRecord,
  PersonRecord,
  Reading,
  Store,
} from '../store.js';
import { within } from './host.js';
import { fingerprintOf } from './identity.js';
import { progressOf, receiptsOf, stateAmong, type Progress } from './summary.js';
import { currentKey } from './trust.js';
import { isIn, isVouched } from './vouching.js';
import type { Chat, ChatLine, ChatMessage, Invitation, Member, Person, Reaction, Receipt } from './types.js';

// From what is kept of chats to what is shown.

const PIECE = 500;
const RANK = { owner: 0, admin: 1, member: 2 };

/** A chat with what is needed to show what is in it. */
interface Scene extends Progress {
  chat: ChatRecord;
  people: Map<string, PersonRecord>;
  blocked: Set<string>;
}

export async function listChats(store: Store): Promise<Chat[]> {
  const scenes = await store.read(async (tx) => {
    const chats = (await tx.all('chats')).filter(isShown);
    return Promise.all(chats.map(async (chat) => ({ ...(await sceneOf(tx, chat)), ...(await extrasOf(tx, chat.id)) })));
  });
  const list = await Promise.all(scenes.map(toChat));
  return list.filter((chat) => chat !== undefined).sort((a, b) => Number(b.pinned) - Number(a.pinned) || b.lastTime - a.lastTime); // prettier-ignore
}

export async function readChat(store: Store, id: string): Promise<Chat | undefined> {
  const scene = await store.read(async (tx) => {
    const chat = await tx.get('chats', id);
    return chat && isShown(chat) ? { ...(await sceneOf(tx, chat)), ...(await extrasOf(tx, id)) } : undefined;
  });
  return scene && toChat(scene);
}

export function readMessages(
  store: Store,
  chatId: string,
  options: { before?: ChatMessage; after?: ChatMessage; limit: number },
): Promise<ChatMessage[]> {
  const at = (message: ChatMessage) => ({ place: message.place, id: within(chatId, message.id) });
  const { before, after, limit } = options;
  return store.read(async (tx) => {
    const range = { chatId, ...(before && { before: at(before) }), ...(after && { after: at(after) }), limit };
    return toMessages(tx, chatId, await tx.thread(range));
  });
}

export function readAround(store: Store, chatId: string, messageId: string, limit: number): Promise<ChatMessage[]> {
  return store.read(async (tx) => {
    const message = await tx.get('chatMessages', within(chatId, messageId));
    if (message === undefined) return [];
    const half = Math.floor(limit / 2);
    const older = await tx.thread({ chatId, before: message, limit: half });
    const newer = await tx.thread({ chatId, after: message, limit: half });
    return toMessages(tx, chatId, [...older, message, ...newer]);
  });
}

export function readMessage(store: Store, chatId: string, messageId: string): Promise<ChatMessage | undefined> {
  return store.read(async (tx) => {
    const record = await tx.get('chatMessages', within(chatId, messageId));
    return record && (await toMessages(tx, chatId, [record]))[0];
  });
}

export function readReceipts(store: Store, chatId: string, messageId: string): Promise<Receipt[]> {
  return store.read(async (tx) => {
    const message = await tx.get('chatMessages', within(chatId, messageId));
    const chat = await tx.get('chats', chatId);
    if (chat === undefined || message?.authorId !== chat.me || message.state !== undefined) return [];
    return receiptsOf(await progressOf(tx, chatId), chat.me, message.place);
  });
}

export async function* readTexts(store: Store) {
  const chats = (await store.read((tx) => tx.all('chats'))).filter(isShown);
  for (const { id: chatId } of chats)
    for (let before: ChatMessageRecord | undefined, more = true; more;) {
      const piece = await store.read((tx) => tx.thread({ chatId, limit: PIECE, ...(before && { before }) }));
      before = piece[0];
      more = piece.length === PIECE;
      const texts = piece.flatMap(({ messageId: id, timestamp, body, fault }) =>
        body?.text && fault === undefined ? { id, chatId, text: body.text, timestamp } : [],
      );
      if (texts.length > 0) yield texts.reverse();
    }
}

export async function listMembers(store: Store, chatId: string): Promise<Member[]> {
  const scene = await store.read(async (tx) => {
    const chat = await tx.get('chats', chatId);
    return chat && sceneOf(tx, chat);
  });
  if (scene === undefined) return [];
  const { members, chat } = scene;
  const list = members
    .filter(({ row }) => isIn(row.state))
    .map(async (member) => ({
      ...(await personIn(scene, member.row.userId, member.row.name)),
      role: member.row.role,
      membership: member.row.state,
      me: member.row.userId === chat.me,
      vouched: isVouched(chat, member),
      ...(member.row.invitedBy === undefined ? {} : { invitedBy: member.row.invitedBy }),
    }));
  return (await Promise.all(list)).sort((a, b) => RANK[a.role] - RANK[b.role] || a.name.localeCompare(b.name));
}

export async function listInvitations(store: Store): Promise<Invitation[]> {
  const scenes = await store.read(async (tx) => Promise.all((await tx.all('chats')).map((chat) => sceneOf(tx, chat))));
  const list = scenes.map(async (scene): Promise<Invitation | undefined> => {
    const { chat, members } = scene;
    const mine = members.find(({ row }) => row.userId === chat.me)?.row;
    if (mine?.state !== 'invited' || mine.invitationId === undefined || chat.row === undefined) return undefined;
    const from = await personIn(scene, mine.invitedBy ?? '', '');
    const { group, createdAt } = chat.row;
    return { id: mine.invitationId, chatId: chat.id, group, name: chat.name?.text ?? '', from, createdAt };
  });
  return (await Promise.all(list)).filter((invitation) => invitation !== undefined);
}

export async function readPeople(store: Store, ids: string[]): Promise<Person[]> {
  const found = await store.read(async (tx) => ({
    people: await tx.getMany('people', ids),
    blocks: await tx.getMany('blocks', ids),
  }));
  return Promise.all(ids.map((id, i) => toPerson(id, found.people[i], found.blocks[i] !== undefined, '')));
}

function isShown({ row }: ChatRecord): boolean {
  return row !== undefined;
}

async function sceneOf(tx: Reading, chat: ChatRecord): Promise<Scene> {
  const progress = await progressOf(tx, chat.id);
  const ids = [...new Set([...progress.members.map(({ row }) => row.userId)])];
  const people = (await tx.getMany('people', ids)).filter((person) => person !== undefined);
  const blocks = (await tx.getMany('blocks', ids)).filter((block) => block !== undefined);
  return {
    ...progress,
    chat,
    people: new Map(people.map((person) => [person.id, person])),
    blocked: new Set(blocks.map(({ id }) => id)),
  };
}

async function extrasOf(tx: Reading, chatId: string): Promise<{ flags: Partial<FlagsValue>; draft: string }> {
  const flags = (await tx.get('states', STATE.flags(chatId)))?.value;
  return { flags: flags ?? {}, draft: (await tx.get('drafts', chatId))?.text ?? '' };
}

function isStranger(member: ChatMemberRecord, { chat, people }: Scene): boolean {
  const { userId, state } = member.row;
  return isIn(state) && !isVouched(chat, member) && (people.get(userId)?.keys.length ?? 0) > 0;
}

/** Nothing for a chat that one is not in, and was not. */
async function toChat(scene: Scene & { flags: Partial<FlagsValue>; draft: string }): Promise<Chat | undefined> {
  const { chat, members, flags, draft } = scene;
  const { id, row, last, unread, mentioned, nameFault } = chat;
  const mine = members.find((member) => member.row.userId === chat.me)?.row;
  if (row === undefined || mine === undefined || mine.state === 'invited' || mine.state === 'declined')
    return undefined;
  const others = members.filter((member) => member.row.userId !== chat.me);
  const other = row.group ? undefined : others[0]?.row;
  const here = members.filter((member) => member.row.state === 'accepted');
  const fault = row.group && chat.name === undefined ? nameFault : undefined;
  return {
    id,
    group: row.group,
    name: row.group ? (chat.name?.text ?? '') : (other?.name ?? ''),
    ...(fault === undefined ? {} : { fault }),
    ...(other === undefined ? {} : { with: await personIn(scene, other.userId, other.name) }),
    role: mine.role,
    membership: mine.state,
    createdAt: row.createdAt,
    members: here.length,
    ...(last === undefined ? {} : { last: toLine(last, scene) }),
    lastTime: Math.max(row.createdAt, last?.timestamp ?? 0),
    unread,
    mentioned,
    pinned: flags.pinned === true,
    archived: flags.archived === true,
    muted: flags.muted === true,
    draft,
    warning: others.some((member) => scene.people.get(member.row.userId)?.keyChanged === 'unsigned'),
    strangers: others.some((member) => isStranger(member, scene)),
  };
}

function toLine(record: ChatMessageRecord, scene: Scene): ChatLine {
  const { messageId: id, authorId, body, timestamp, deleted, fault } = record;
  const state = stateOf(record, scene);
  return {
    id,
    authorId,
    authorName: nameIn(scene, authorId),
    mine: authorId === scene.chat.me,
    text: fault === undefined ? (body?.text ?? '') : '',
    files: body?.files?.length ?? 0,
    timestamp,
    ...(state === undefined ? {} : { state }),
    ...(deleted ? { deleted } : {}),
    ...(fault === undefined ? {} : { fault }),
  };
}

async function toMessages(tx: Reading, chatId: string, records: ChatMessageRecord[]): Promise<ChatMessage[]> {
  const chat = await tx.get('chats', chatId);
  if (chat === undefined) return [];
  const scene = await sceneOf(tx, chat);
  const answered = await tx.getMany('chatMessages', records.map(({ body }) => within(chatId, body?.replyTo ?? ''))); // prettier-ignore
  const reactions = await Promise.all(records.map(({ id }) => tx.where('chatReactions', 'message', id)));
  return records.map((record, i) => toMessage(record, scene, answered[i], reactions[i]!));
}

function toMessage(
  record: ChatMessageRecord,
  scene: Scene,
  answered: ChatMessageRecord | undefined,
  reactions: ChatReactionRecord[],
): ChatMessage {
  const { messageId: id, chatId, authorId, body, timestamp, editedAt, problem, deleted, unverified, fault, place } = record; // prettier-ignore
  const content = fault === undefined ? body : undefined;
  const state = stateOf(record, scene);
  return {
    id,
    chatId,
    authorId,
    authorName: nameIn(scene, authorId),
    mine: authorId === scene.chat.me,
    text: content?.text ?? '',
    timestamp,
    ...(editedAt === undefined || deleted ? {} : { editedAt }),
    ...(state === undefined ? {} : { state }),
    ...(problem === undefined ? {} : { problem }),
    ...(content?.replyTo === undefined ? {} : { replyTo: quoteOf(content.replyTo, answered, scene) }),
    mentions: content?.mentions ?? [],
    files: content?.files ?? [],
    reactions: toReactions(reactions, scene),
    ...(deleted ? { deleted } : {}),
    ...(fault === undefined ? {} : { fault }),
    ...(unverified ? { unverified } : {}),
    place,
  };
}

function quoteOf(id: string, answered: ChatMessageRecord | undefined, scene: Scene): ChatMessage['replyTo'] {
  if (answered === undefined) return { id, authorName: '', text: '' };
  const { authorId, body, fault } = answered;
  return { id, authorId, authorName: nameIn(scene, authorId), text: fault === undefined ? (body?.text ?? '') : '' };
}

function toReactions(records: ChatReactionRecord[], scene: Scene): Reaction[] {
  const byEmoji = new Map<string, Reaction>();
  for (const { emoji, userId } of records) {
    if (emoji === undefined) continue;
    const reaction = byEmoji.get(emoji) ?? { emoji, people: [], mine: false };
    reaction.people.push({ userId, name: nameIn(scene, userId) });
    reaction.mine ||= userId === scene.chat.me;
    byEmoji.set(emoji, reaction);
  }
  return [...byEmoji.values()].sort((a, b) => b.people.length - a.people.length || (a.emoji < b.emoji ? -1 : 1));
}

function stateOf({ authorId, state, deleted, place, fault }: ChatMessageRecord, scene: Scene) {
  if (authorId !== scene.chat.me || deleted || fault !== undefined) return undefined;
  return state ?? stateAmong(receiptsOf(scene, scene.chat.me, place));
}

function nameIn({ members, people }: Scene, userId: string): string {
  return members.find(({ row }) => row.userId === userId)?.row.name ?? people.get(userId)?.name ?? '';
}

function personIn({ people, blocked }: Scene, userId: string, name: string): Promise<Person> {
  return toPerson(userId, people.get(userId), blocked.has(userId), name);
}

async function toPerson(userId: string, person: PersonRecord | undefined, blocked: boolean, name: string) {
  const key = person && currentKey(person);
  return {
    userId,
    name: person?.name ?? name,
    fingerprint: key === undefined ? '' : await fingerprintOf(key),
    ...(person?.keyChanged === undefined ? {} : { keyChanged: person.keyChanged }),
    verified: key !== undefined && person?.verified === key,
    blocked,
  };
}

/** The conversation of two people with somebody, by the name they sign in with. */
export async function findDirect(
  tx: Reading,
  name: string,
): Promise<{ chatId: string; membership: string; invitationId?: string } | undefined> {
  const same = name.trim().normalize('NFC').toLowerCase();
  for (const { id, row, me } of await tx.all('chats')) {
    if (row?.group !== false) continue;
    const members = await tx.where('chatMembers', 'chatId', id);
    const mine = members.find((member) => member.row.userId === me)?.row;
    const other = members.find((member) => member.row.userId !== me)?.row;
    const isThem = other?.name.normalize('NFC').toLowerCase() === same && other.state !== 'left' && other.state !== 'removed' && other.state !== 'declined'; // prettier-ignore
    if (mine !== undefined && isThem && (mine.state === 'accepted' || mine.state === 'invited'))
      return { chatId: id, membership: mine.state, ...(mine.invitationId && { invitationId: mine.invitationId }) };
  }
  return undefined;
}
