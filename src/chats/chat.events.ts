import { Injectable } from '@nestjs/common';
import { Cluster } from '../cluster/cluster.js';
import { Facts } from '../cluster/facts.js';
import type { ChatView, MemberView, MessageView } from './chat.js';

/** `to`: the accounts that are to know. Those who know the same share one array. */
interface Told {
  chatId: string;
  to: readonly string[];
}

/** What happened in a chat, told after it was committed. */
export type ChatFact =
  | ({ name: 'chat.posted'; message: MessageView } & Told)
  | ({ name: 'chat.edited'; message: MessageView } & Told)
  | ({ name: 'chat.deleted'; messageId: string } & Told)
  /** `content` is null for one that was taken back. */
  | ({ name: 'chat.reacted'; messageId: string; userId: string; content: string | null } & Told)
  | ({ name: 'chat.marked'; userId: string; delivered: number; read: number } & Told)
  | ({ name: 'chat.memberChanged'; member: MemberView } & Told)
  | ({ name: 'chat.changed'; chat: ChatView } & Told)
  /** Somebody may answer an invitation. */
  | ({ name: 'chat.invited' } & Told);

/** `by` is the connection that caused it, when one did. */
@Injectable()
export class ChatEvents extends Facts<{ 'chat.happened': [fact: ChatFact, by?: string] }> {
  constructor(cluster: Cluster) {
    super(cluster, 'chats');
  }
}
