import { NEVER, toChatView, toMemberView, type Member, type MemberContent, type MemberState, type MessageContent, type ReactionContent } from './chat.js'; // prettier-ignore
import type { ChatFact } from './chat.events.js';
import { put } from './decide-keys.js';
import type { ChatState, Row } from './chat-state.js';
import type { Agreed, Bounds, Decision, Invitation, Operations, Person } from './operation.js';

/* Who is in a chat. Each function decides one operation, on the state in memory alone. */

export function create(
  chat: ChatState,
  { creator, group, name, invitation }: Operations['create'],
  bounds: Bounds,
): Decision {
  if (chat.info !== undefined) return { unchanged: true };
  const { userId, accountId, ...profile } = creator;
  const role = 'owner';
  chat.setMember({ userId, accountId, role, state: 'accepted', invitationId: null, visibleFrom: 0 });
  const info = { group, ...(name === undefined ? {} : { name }), epoch: 1, createdAt: chat.at, createdBy: userId };
  chat.put('chat', chat.account.id, info, () => chat.everyone());
  tell(chat, { userId, ...profile, role, state: 'accepted', since: chat.at });
  const facts: ChatFact[] = [changed(chat)];
  if (invitation === undefined) return { facts };
  // In a new chat nothing is in its way.
  const invited = invite(chat, chat.members.get(userId)!, invitation, bounds) as Agreed;
  return { ...invited, facts: [...facts, ...invited.facts!] };
}

export function rename(chat: ChatState, member: Member, { name }: Operations['rename']): Decision {
  const info = chat.info!;
  if (!info.group) return { refused: 'chat_direct' };
  if (member.role === 'member') return { refused: 'role_missing' };
  if (info.name === name) return { unchanged: true };
  chat.put('chat', chat.account.id, { ...info, name }, () => chat.everyoneAsked());
  return { facts: [changed(chat)] };
}

/** The one who is invited gets what it takes to decide: the chat, who invites, and the key. */
export function invite(
  chat: ChatState,
  inviter: Member,
  { person, invitationId: newId, key, keys, history, vouch }: Invitation,
  { chatMembers }: Bounds,
): Decision {
  const info = chat.info!;
  const known = existing(chat, person);
  if (!info.group && known === undefined && chat.members.size > 1) return { refused: 'chat_direct' };
  if (info.group && inviter.role === 'member') return { refused: 'role_missing' };
  if (known?.state === 'accepted') return { refused: 'already_member' };
  const hidden = chat.blocks(person.accountId, inviter);
  const pending = known?.state === 'invited' ? known.invitationId! : undefined;
  // One that the person did not hear of goes out once they have thought better of it.
  if (pending !== undefined && (hidden || known!.visibleFrom !== NEVER))
    return { unchanged: true, reply: { invitationId: pending } };
  const living = [...chat.members.values()].filter(({ state }) => state === 'accepted' || state === 'invited');
  if (pending === undefined && living.length >= chatMembers) return { refused: 'chat_full' };

  const invitationId = pending ?? newId;
  const { accountId, userId: theirs, ...profile } = person;
  const userId = known?.userId ?? theirs;
  const role = info.group ? 'member' : 'owner';
  const visibleFrom = hidden ? NEVER : history ? 0 : chat.newest + 1;
  const invited = chat.setMember({ userId, accountId, role, state: 'invited', invitationId, visibleFrom });
  const content: MemberContent = {
    userId,
    ...profile,
    role,
    state: 'invited',
    invitedBy: inviter.userId,
    invitationId,
    ...(history ? { history } : {}),
    ...(vouch === undefined ? {} : { vouch }),
    since: chat.at,
  };
  const facts = [tell(chat, content)];
  for (const wrapped of [...keys.filter(({ epoch }) => epoch < info.epoch), { epoch: info.epoch, key }])
    put(chat, inviter, invited, wrapped.epoch, wrapped.key);
  if (!hidden) {
    const to = chat.only(invited);
    chat.grant(chat.row('chat', chat.account.id)!, to);
    chat.grant(chat.row('chat.member', inviter.userId)!, to);
    facts.push({ name: 'chat.invited', chatId: chat.account.id, to });
  }
  return { reply: { invitationId }, facts };
}

/** Who accepts gets who is there, how far they have read, and what was written since the invitation, or before as well. */
export function answer(chat: ChatState, { by, invitationId, accepted, vouch }: Operations['answer']): Decision {
  const member = chat.membersOf(by).find((m) => m.invitationId === invitationId);
  if (member === undefined || member.visibleFrom === NEVER) return { refused: 'invitation_not_found' };
  if (member.state !== 'invited') return { refused: 'invitation_answered' };
  const written = chat.written();
  const vouchBack = accepted && vouch !== undefined ? { vouchBack: vouch } : {};
  const told = move(chat, member, accepted ? 'accepted' : 'declined', vouchBack);
  if (!accepted) return { facts: [told] };
  const to = [by];
  const { rows, from } = chat.awaiting(invitationId);
  chat.setMember(member, { visibleFrom: Math.max(member.visibleFrom, from) });
  for (const row of [...chat.all('chat.member'), ...chat.all('chat.mark')])
    if (row.id !== member.userId && isIn(chat.members.get(row.id))) chat.grant(row, to);
  for (const row of rows) chat.grant(row, to);
  for (const row of written) if (isTheirs(chat, row, member)) chat.grant(row, to);
  return { facts: [told, { ...changed(chat), to }] };
}

export function leave(chat: ChatState, member: Member): Decision {
  const alone = ![...chat.members.values()].some((m) => m !== member && m.state === 'accepted');
  if (alone) return end(chat, member);
  if (chat.info!.group && member.role === 'owner') return { refused: 'owner_must_hand_over' };
  return { facts: [move(chat, member, 'left')] };
}

export function remove(chat: ChatState, member: Member, { userId }: Operations['remove']): Decision {
  const target = chat.members.get(userId);
  if (!isIn(target)) return { refused: 'person_not_found' };
  if (target === member) return leave(chat, member);
  const may = member.role === 'owner' || (member.role === 'admin' && target.role === 'member');
  if (!may) return { refused: 'role_missing' };
  return { facts: [move(chat, target, 'removed')] };
}

/** For all. Everybody sees that they are out, and that there is no such chat any more. */
export function disband(chat: ChatState, member: Member): Decision {
  return member.role === 'owner' ? end(chat, member) : { refused: 'role_missing' };
}

export function setRole(chat: ChatState, member: Member, { userId, role }: Operations['setRole']): Decision {
  if (!chat.info!.group) return { refused: 'chat_direct' };
  if (member.role !== 'owner') return { refused: 'role_missing' };
  const target = chat.members.get(userId);
  if (!isIn(target) || (role === 'owner' && target.state !== 'accepted')) return { refused: 'person_not_found' };
  if (target.role === role) return { unchanged: true };
  if (target === member) return { refused: 'owner_must_hand_over' };
  const facts = [appoint(chat, target, role)];
  if (role === 'owner') facts.push(appoint(chat, member, 'admin'));
  return { facts };
}

/** An account is gone. A group that was its owner's goes to an admin, or to who has been there longest. */
export function depart(chat: ChatState, { by }: Operations['depart']): Decision {
  if (chat.info === undefined) return { unchanged: true };
  const leaving = chat.membersOf(by).filter(isIn);
  if (chat.everyone().every((account) => account === by))
    return leaving[0] ? end(chat, leaving[0]) : { unchanged: true };
  const facts = leaving.map((member) => move(chat, member, 'left'));
  const heir = chat.info.group && leaving.some(({ role }) => role === 'owner') ? heirOf(chat) : undefined;
  return { facts: heir === undefined ? facts : [...facts, appoint(chat, heir, 'owner')] };
}

/** What others see of a person has changed. */
export function introduce(chat: ChatState, { by, profile }: Operations['introduce']): Decision {
  if (chat.info === undefined) return { unchanged: true };
  const facts = chat
    .membersOf(by)
    .filter(isIn)
    .map((member) => {
      const { userId, role, state, invitedBy, invitationId, history, vouch, vouchBack, since } = rowOf(chat, member);
      return tell(chat, { userId, ...profile, role, state, invitedBy, invitationId, history, vouch, vouchBack, since });
    });
  return { facts };
}

function isIn(member: Member | undefined): member is Member {
  return member?.state === 'accepted' || member?.state === 'invited';
}

/** The chat is over: who was in it is out, and its row goes. */
function end(chat: ChatState, last: Member): Decision {
  const asked = chat.everyoneAsked();
  const facts = [move(chat, last, 'left')];
  for (const member of [...chat.members.values()].filter(isIn)) facts.push(move(chat, member, 'removed'));
  chat.put('chat', chat.account.id, null, () => asked);
  return { facts, reply: { ended: true } };
}

/** Who is in the chat already, or was, as the owner of the account or under the same id. */
function existing(chat: ChatState, { accountId, userId }: Person): Member | undefined {
  const known = chat.membersOf(accountId);
  return known.find(isIn) ?? known[0] ?? chat.members.get(userId);
}

function heirOf(chat: ChatState): Member | undefined {
  const since = (member: Member) => rowOf(chat, member).since;
  const heirs = [...chat.members.values()].filter(({ state }) => state === 'accepted');
  heirs.sort((a, b) => Number(b.role === 'admin') - Number(a.role === 'admin') || since(a) - since(b));
  return heirs[0];
}

/** Whether a row that this batch wrote is a message or a reaction that the member may see. */
function isTheirs(chat: ChatState, { kind, born, content }: Row, { accountId, visibleFrom }: Member): boolean {
  if ((kind !== 'chat.message' && kind !== 'chat.reaction') || !content) return false;
  const author = chat.members.get((content as MessageContent | ReactionContent).userId)!;
  return born >= visibleFrom && !chat.blocks(accountId, author);
}

function rowOf(chat: ChatState, { userId }: Member): MemberContent {
  return chat.get('chat.member', userId)!;
}

function move(
  chat: ChatState,
  member: Member,
  state: MemberState,
  more: Pick<MemberContent, 'vouchBack'> = {},
): ChatFact {
  chat.setMember(member, { state });
  return tell(chat, { ...rowOf(chat, member), ...more, state, since: chat.at });
}

function appoint(chat: ChatState, member: Member, role: Member['role']): ChatFact {
  chat.setMember(member, { role });
  return tell(chat, { ...rowOf(chat, member), role });
}

/** Writes a member's row, for all who know them. */
function tell(chat: ChatState, content: MemberContent): ChatFact {
  const to = chat.acquaintances(content.userId);
  chat.put('chat.member', content.userId, content, () => to);
  return { name: 'chat.memberChanged', chatId: chat.account.id, member: toMemberView(content), to };
}

function changed(chat: ChatState): ChatFact {
  return {
    name: 'chat.changed',
    chatId: chat.account.id,
    chat: toChatView(chat.account.id, chat.info!),
    to: chat.everyone(),
  };
}
