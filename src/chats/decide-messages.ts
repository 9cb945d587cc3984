import { messageOfReaction, reactionRowId, toMessageView, type Member, type MessageContent } from './chat.js';
import type { ChatState, Row } from './chat-state.js';
import type { Bounds, Decision, Operations } from './operation.js';

/*
 * Messages, reactions and marks. Each function decides one operation of a member of the chat, on the state in memory alone.
 */

export function post(chat: ChatState, author: Member, { messageId, files, ...sealed }: Operations['post']): Decision {
  const known = chat.row('chat.message', messageId);
  if (known !== undefined) {
    // Of one that was deleted nobody knows any more whose it was.
    if (known.content?.userId !== author.userId) return { refused: 'message_id_taken' };
    return { unchanged: true, reply: { messageId, number: known.born } };
  }
  const stale = epochRefusal(chat, sealed.epoch);
  if (stale !== undefined) return stale;
  const { content, epoch } = sealed;
  const message: MessageContent = {
    userId: author.userId,
    content,
    ...(epoch === undefined ? {} : { epoch }),
    ...(files === undefined || files.length === 0 ? {} : { files }),
    timestamp: chat.at,
  };
  const number = chat.put('chat.message', messageId, message, (n) => chat.readers(author, n));
  return {
    reply: { messageId, number },
    facts: [
      {
        name: 'chat.posted',
        chatId: chat.account.id,
        message: toMessageView(messageId, number, message, nameOf(chat, author.userId)),
        to: chat.readers(author, number),
      },
    ],
  };
}

export function edit(
  chat: ChatState,
  author: Member,
  { messageId, content, epoch }: Operations['edit'],
  { chatEditMs }: Bounds,
): Decision {
  const row = messageFor(chat, author, messageId);
  if (row === undefined) return { refused: 'message_not_found' };
  const { userId, files, timestamp, ...old } = row.content;
  if (userId !== author.userId) return { refused: 'role_missing' };
  if (old.content === content && old.epoch === epoch) return { unchanged: true };
  if (chat.at - timestamp > chatEditMs) return { refused: 'message_too_old' };
  const stale = epochRefusal(chat, epoch);
  if (stale !== undefined) return stale;
  const message: MessageContent = {
    userId,
    content,
    ...(epoch === undefined ? {} : { epoch }),
    ...(files === undefined ? {} : { files }),
    timestamp,
    editedAt: chat.at,
  };
  const to = chat.readers(author, row.born);
  chat.put('chat.message', messageId, message, () => to);
  const view = toMessageView(messageId, row.born, message, nameOf(chat, userId));
  return { facts: [{ name: 'chat.edited', chatId: chat.account.id, message: view, to }] };
}

/** For everyone: by its author for a time, by owner and admins of a group always. Its reactions go with it. */
export function remove(
  chat: ChatState,
  member: Member,
  { messageId }: Operations['delete'],
  { chatEditMs }: Bounds,
): Decision {
  const known = chat.row('chat.message', messageId);
  if (known?.content === null && known.born >= member.visibleFrom) return { unchanged: true };
  const row = messageFor(chat, member, messageId);
  if (row === undefined) return { refused: 'message_not_found' };
  const { userId, files, timestamp } = row.content;
  if (!(chat.info!.group && member.role !== 'member')) {
    if (userId !== member.userId) return { refused: 'role_missing' };
    if (chat.at - timestamp > chatEditMs) return { refused: 'message_too_old' };
  }
  // To those too who block the author since: it tells nothing but that it is gone.
  const to = chat.viewers(row.born);
  chat.put('chat.message', messageId, null, () => to);
  for (const reaction of [...chat.all('chat.reaction')])
    if (reaction.content !== null && messageOfReaction(reaction.id) === messageId)
      chat.put('chat.reaction', reaction.id, null, () => to);
  const owner = chat.members.get(userId);
  return {
    ...(files && owner ? { files: { accountId: owner.accountId, ids: files } } : {}),
    facts: [{ name: 'chat.deleted', chatId: chat.account.id, messageId, to }],
  };
}

export function react(chat: ChatState, member: Member, { messageId, content, epoch }: Operations['react']): Decision {
  const { userId } = member;
  const message = messageFor(chat, member, messageId);
  if (message === undefined) return { refused: 'message_not_found' };
  const id = reactionRowId(messageId, userId);
  const old = chat.get('chat.reaction', id);
  if (content === null ? old === undefined : old?.content === content && old.epoch === epoch)
    return { unchanged: true };
  const stale = content === null ? undefined : epochRefusal(chat, epoch);
  if (stale !== undefined) return stale;
  const reaction = content === null ? null : { messageId, userId, content, ...(epoch === undefined ? {} : { epoch }), timestamp: chat.at }; // prettier-ignore
  const to = chat.readers(member, message.born);
  chat.put('chat.reaction', id, reaction, () => to, message.born);
  return { facts: [{ name: 'chat.reacted', chatId: chat.account.id, messageId, userId, content, to }] };
}

/** How far a member has got: only ever forward, and not past what there is. */
export function mark(chat: ChatState, { userId }: Member, wanted: Operations['mark']): Decision {
  const old = chat.get('chat.mark', userId) ?? { delivered: 0, read: 0 };
  const read = Math.max(old.read, Math.min(wanted.read, chat.newest));
  const delivered = Math.max(old.delivered, read, Math.min(wanted.delivered, chat.newest));
  if (read === old.read && delivered === old.delivered) return { unchanged: true };
  const to = chat.everyone();
  chat.put('chat.mark', userId, { userId, delivered, read }, () => to);
  return { facts: [{ name: 'chat.marked', chatId: chat.account.id, userId, delivered, read, to }] };
}

/** A message that is there, and theirs. */
function messageFor(
  chat: ChatState,
  { visibleFrom }: Member,
  id: string,
): (Row<'chat.message'> & { content: MessageContent }) | undefined {
  const row = chat.row('chat.message', id);
  if (row === undefined || row.born < visibleFrom || row.content == null) return undefined;
  return row as Row<'chat.message'> & { content: MessageContent };
}

/** Who has no epochs is not asked for one; who has must not seal by a key that somebody has had who left. */
function epochRefusal(chat: ChatState, epoch: number | undefined): Decision | undefined {
  const { epoch: present } = chat.info!;
  if (epoch === undefined || epoch === present) return undefined;
  return { refused: epoch < present ? 'key_outdated' : 'epoch_unknown' };
}

function nameOf(chat: ChatState, userId: string): string {
  return chat.get('chat.member', userId)?.name ?? '';
}
