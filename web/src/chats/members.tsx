import type { Chat, Member } from '@pairline/client';
import { useState } from 'react';
import { useChatWords } from '../i18n/chat-words.js';
import { navigate } from '../route.js';
import { Avatar } from '../ui/avatar.js';
import { Dialog } from '../ui/dialog.js';
import { LockIcon, MoreIcon, WarningIcon } from '../ui/icons.js';
import { Menu, menuPlace, type MenuItem, type MenuPlace } from '../ui/menu.js';
import { shownFingerprint } from './fingerprint.js';
import { SafetyWords } from './key-warnings.js';
import { useOpenChats } from './use-chats.js';
import { useChatToasts } from './use-chat-toasts.js';

type Asking = { what: 'menu'; member: Member; place: MenuPlace } | { what: 'words' | 'remove' | 'handOver' | 'block'; member: Member }; // prettier-ignore

/** Who is in a conversation, with what one may do about each of them. */
export function Members({ chat, members }: { chat: Chat; members: Member[] }) {
  const { about } = useChatWords();
  const [asking, setAsking] = useState<Asking>();
  const close = () => setAsking(undefined);
  const nameOf = (userId: string | undefined) => members.find((member) => member.userId === userId)?.name;
  return (
    <section>
      <h2>{about.members}</h2>
      <ul className="members" aria-label={about.members}>
        {members.map((member) => (
          <MemberRow
            key={member.userId}
            chat={chat}
            member={member}
            invitedBy={member.membership === 'invited' ? nameOf(member.invitedBy) : undefined}
            onMenu={(place) => setAsking({ what: 'menu', member, place })}
          />
        ))}
      </ul>
      {asking?.what === 'menu' && (
        <MemberMenu
          chat={chat}
          member={asking.member}
          place={asking.place}
          onAsk={(what) => setAsking({ what, member: asking.member })}
          onClose={close}
        />
      )}
      {asking?.what === 'words' && <SafetyWords person={asking.member} onClose={close} />}
      {(asking?.what === 'remove' || asking?.what === 'handOver' || asking?.what === 'block') && (
        <Ask what={asking.what} chat={chat} member={asking.member} onClose={close} />
      )}
    </section>
  );
}

function MemberRow({
  chat,
  member,
  invitedBy,
  onMenu,
}: {
  chat: Chat;
  member: Member;
  invitedBy: string | undefined;
  onMenu: (place: MenuPlace) => void;
}) {
  const { about, thread } = useChatWords();
  const { userId, name, me, role, membership, vouched, verified, blocked, keyChanged, fingerprint } = member;
  const shown = name || thread.somebody;
  return (
    <li>
      <Avatar name={name} number={userId} />
      <div className="member-words">
        <p className="device-name" dir="auto">
          {shown}
          {me && <span className="tag">{about.you}</span>}
          {chat.group && role !== 'member' && <span className="tag">{about.roles[role]}</span>}
          {membership === 'invited' && <span className="tag">{about.invited}</span>}
          {!vouched && <span className="tag">{about.notVouched}</span>}
          {blocked && <span className="tag">{about.blocked}</span>}
        </p>
        {invitedBy && <p className="field-hint">{about.invitedBy(invitedBy)}</p>}
        <p className="fingerprint" title={about.fingerprint}>
          {keyChanged === 'unsigned' && <WarningIcon />}
          {verified && <LockIcon />}
          {verified && <span className="hidden-words">{about.verified} </span>}
          <span className="hidden-words">{about.fingerprint} </span>
          {shownFingerprint(fingerprint)}
        </p>
      </div>
      {!me && (
        <button
          type="button"
          className="icon-button"
          aria-haspopup="menu"
          aria-label={about.actions(shown)}
          onClick={(event) => onMenu(menuPlace(event))}
        >
          <MoreIcon />
        </button>
      )}
    </li>
  );
}

function MemberMenu({
  chat,
  member,
  place,
  onAsk,
  onClose,
}: {
  chat: Chat;
  member: Member;
  place: MenuPlace;
  onAsk: (what: 'words' | 'remove' | 'handOver' | 'block') => void;
  onClose: () => void;
}) {
  const chats = useOpenChats();
  const { about, thread } = useChatWords();
  const { attempt } = useChatToasts();
  const { userId, name, role, membership, blocked } = member;
  const here = chat.membership === 'accepted';
  const owner = here && chat.group && chat.role === 'owner';
  const mayRemove = owner || (here && chat.group && chat.role === 'admin' && role === 'member');
  const inIt = membership === 'accepted';
  const writeAlone = async () => {
    let chatId = '';
    if (await attempt(async () => (chatId = await chats.begin({ name })))) navigate({ page: 'chat', id: chatId });
  };
  const items: (MenuItem | false)[] = [
    chat.group && { label: about.write, act: () => void writeAlone() },
    { label: about.words, act: () => onAsk('words') },
    owner && inIt && role === 'member' && { label: about.makeAdmin, act: () => void attempt(() => chats.setRole(chat.id, userId, 'admin')) }, // prettier-ignore
    owner && inIt && role === 'admin' && { label: about.makeMember, act: () => void attempt(() => chats.setRole(chat.id, userId, 'member')) }, // prettier-ignore
    owner && inIt && { label: about.handOver, act: () => onAsk('handOver') },
    blocked
      ? { label: about.unblock, act: () => void attempt(() => chats.unblock(userId)) }
      : { label: about.block, dangerous: true, act: () => onAsk('block') },
    mayRemove && { label: inIt ? about.remove : about.takeBack, dangerous: true, act: () => onAsk('remove') },
  ];
  return (
    <Menu
      label={about.actions(name || thread.somebody)}
      items={items.filter((item) => item !== false)}
      place={place}
      onClose={onClose}
    />
  );
}

function Ask({
  what,
  chat,
  member: { userId, name, membership },
  onClose,
}: {
  what: 'remove' | 'handOver' | 'block';
  chat: Chat;
  member: Member;
  onClose: () => void;
}) {
  const chats = useOpenChats();
  const { about } = useChatWords();
  const { attempt } = useChatToasts();
  const remove = membership === 'accepted' ? about.remove : about.takeBack;
  const { title, why, confirm, act } = {
    remove: { title: about.removeTitle(name), why: about.removeWhy, confirm: remove, act: () => chats.remove(chat.id, userId) }, // prettier-ignore
    handOver: { title: about.handOverTitle(name), why: about.handOverWhy, confirm: about.handOver, act: () => chats.handOver(chat.id, userId) }, // prettier-ignore
    block: { title: about.blockTitle(name), why: about.blockWhy, confirm: about.block, act: () => chats.block(userId) },
  }[what];
  return (
    <Dialog title={title} confirm={confirm} dangerous onConfirm={() => void attempt(act)} onClose={onClose}>
      <p>{why}</p>
    </Dialog>
  );
}
