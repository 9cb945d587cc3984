import type { Member } from './chat.js';
import type { ChatState } from './chat-state.js';
import { giveKeys, rotate } from './decide-keys.js';
import { answer, create, depart, disband, introduce, invite, leave, remove as removeMember, rename, setRole } from './decide-members.js'; // prettier-ignore
import { edit, mark, post, react, remove as removeMessage } from './decide-messages.js';
import type { Bounds, ChatMutation, Decision, Op, Operations } from './operation.js';

type Decide<O extends Op> = (chat: ChatState, member: Member, row: Operations[O], bounds: Bounds) => Decision;

/** What only those do who are in the chat. */
const OF_MEMBERS: { [O in Exclude<Op, 'create' | 'answer' | 'depart' | 'introduce'>]: Decide<O> } = {
  rename,
  invite,
  leave,
  end: disband,
  remove: removeMember,
  setRole,
  rotate,
  giveKeys,
  post,
  edit,
  delete: removeMessage,
  react,
  mark,
};

/** Decides one operation as if it were alone, on the chat as those before left it: in memory, nothing is read or written. */
export function decide(chat: ChatState, { op, row }: ChatMutation, bounds: Bounds): Decision {
  if (op === 'create') return create(chat, row, bounds);
  if (op === 'depart') return depart(chat, row);
  if (op === 'introduce') return introduce(chat, row);
  if (op === 'answer') return answer(chat, row);
  // Who is not in a chat learns nothing of it, not even that it is there.
  const member = chat.info === undefined ? undefined : chat.acting(row.by);
  if (member === undefined) return { refused: 'conversation_not_found' };
  return (OF_MEMBERS[op] as Decide<Op>)(chat, member, row, bounds);
}
