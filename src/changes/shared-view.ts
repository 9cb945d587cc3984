import type { AccountKey } from './account-key.js';
import { splice } from './splice.js';

/**
 * The id of a shared row among an account's changes: two chats may use the same one. The row that is the chat has the chat's;
 * any other has both, one that somebody gave the chat's id too.
 */
export function sharedId({ id: chat }: AccountKey, kind: string, id: string): string {
  return kind === 'chat' ? chat : `${chat}:${id}`;
}

/**
 * A shared row as all see it: `{chatId, id, number, ...}`, the rest being its content, opened. `number` is the chat's number
 * that it was first written under.
 */
export function sharedView({ id: chatId }: AccountKey, id: string, number: number, content: string): string {
  return splice(`{"chatId":"${chatId}","id":${JSON.stringify(id)},"number":${number}}`, content);
}
