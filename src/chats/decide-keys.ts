import { keyRowId, toChatView, type Member } from './chat.js';
import type { ChatState } from './chat-state.js';
import type { Decision, Operations } from './operation.js';

/* Keys that members wrap for each other. The server passes them on, each to the one it is for, and cannot open them. */

/** A new key for all who are in the chat. Of two at once one comes first; the other takes that one. */
export function rotate(chat: ChatState, member: Member, { epoch, keys }: Operations['rotate']): Decision {
  const info = chat.info!;
  if (epoch <= info.epoch) return { refused: 'epoch_taken' };
  if (epoch > info.epoch + 1) return { refused: 'epoch_unknown' };
  const wrapped = new Map(keys.map(({ userId, key }) => [userId, key]));
  const living = [...chat.members.values()].filter(({ state }) => state === 'accepted' || state === 'invited');
  if (wrapped.size !== living.length || !living.every(({ userId }) => wrapped.has(userId)))
    return { refused: 'keys_incomplete' };
  for (const to of living) put(chat, member, to, epoch, wrapped.get(to.userId)!);
  chat.put('chat', chat.account.id, { ...info, epoch }, () => chat.everyoneAsked());
  const view = toChatView(chat.account.id, chat.info!);
  return { facts: [{ name: 'chat.changed', chatId: chat.account.id, chat: view, to: chat.everyone() }] };
}

/** What somebody has is not replaced, but by themselves. */
export function giveKeys(chat: ChatState, member: Member, { userId, keys }: Operations['giveKeys']): Decision {
  const target = chat.members.get(userId);
  if (target?.state !== 'accepted' && target?.state !== 'invited') return { refused: 'person_not_found' };
  if (keys.some(({ epoch }) => epoch > chat.info!.epoch)) return { refused: 'epoch_unknown' };
  const wanted = new Map(keys.map(({ epoch, key }) => [epoch, key]));
  const missing = [...wanted].filter(([epoch, key]) => {
    const known = chat.get('chat.key', keyRowId(epoch, userId));
    return known === undefined || (target === member && known.key !== key);
  });
  for (const [epoch, key] of missing) put(chat, member, target, epoch, key);
  return missing.length === 0 ? { unchanged: true } : {};
}

/** For that person alone. */
export function put(chat: ChatState, by: Member, to: Member, epoch: number, key: string): void {
  const { userId } = to;
  chat.put('chat.key', keyRowId(epoch, userId), { epoch, userId, key, by: by.userId }, () => chat.only(to));
}
