import { NO_KEY, type NameBody } from '@pairline/protocol';
import { ClientError } from '../types.js';
import type { ChatKeys, WaitFor } from './chat-keys.js';
import { ask, myIdentity, within, type Host } from './host.js';
import { publicKeyOf, readPublicKey } from './identity.js';
import { membershipIn, ownChat } from './posts.js';
import { nameOf, readName, sealChat } from './sealing.js';
import { currentKey } from './trust.js';
import type { FoundPerson } from './types.js';
import { isIn, isVouch, isVouched, vouch } from './vouching.js';
import { findDirect } from './views.js';

interface Found {
  pseudo: string;
  public_key: string;
  user_id: string;
  fingerprint: string;
}

/** Who talks to whom. All of it needs a connection: it is done when the server has done it and told of it here. */
export class Membership {
  constructor(
    private readonly host: Host,
    private readonly keys: ChatKeys,
    private readonly waitFor: WaitFor,
  ) {}

  async begin(name: string): Promise<string> {
    const known = await this.host.store.read((tx) => findDirect(tx, name));
    // They were faster.
    if (known?.membership === 'invited') await this.answer(known.invitationId!, 'accepted');
    if (known !== undefined) return known.chatId;
    const person = await this.find(name);
    await this.meet(person);
    const body = { pseudo: person.pseudo, key: NO_KEY };
    const { conversation_id: id } = await ask<{ conversation_id: string }>(this.host, '/api/conversations/invite', { body }); // prettier-ignore
    await this.waitFor(async () => (await this.stateOf(id, person.user_id)) !== undefined && this.isMine(id));
    await this.keys.current(id);
    return id;
  }

  async createGroup(name: string): Promise<string> {
    const { conversation_id: id } = await ask<{ conversation_id: string }>(this.host, '/api/conversations', { body: {} }); // prettier-ignore
    await this.waitFor(() => this.isMine(id));
    // In a conversation of two nobody is asked who the other one is.
    const chat = await this.host.store.read((tx) => ownChat(tx, id));
    if (chat.row?.group !== true) throw new ClientError('tampered', 'The group is said to be a conversation of two people'); // prettier-ignore
    await this.keys.current(id);
    if (name.trim() !== '') await this.rename(id, name);
    return id;
  }

  async invite(chatId: string, name: string, history: boolean): Promise<void> {
    const person = await this.find(name);
    await this.meet(person);
    const { own, me, epoch } = await this.keys.current(chatId);
    await this.renewName(chatId, epoch);
    const wrapped = await this.keys.wrapped(chatId, person.user_id, epoch);
    const key = wrapped.find((each) => each.epoch === epoch)!.key;
    const vouched = await vouch(own, person.public_key, { chatId, userId: person.user_id, by: me, epoch });
    const older = history ? wrapped.filter((each) => each.epoch < epoch) : [];
    await ask(this.host, '/api/conversations/invite', {
      body: { pseudo: person.pseudo, key, conversationId: chatId, vouch: vouched, ...(history ? { history, keys: older } : {}) }, // prettier-ignore
    });
    await this.waitFor(async () => {
      const state = await this.stateOf(chatId, person.user_id);
      return state === 'invited' || state === 'accepted';
    });
    // Somebody else may have invited them before, who vouched for nobody.
    await this.vouch(chatId, [person.user_id]);
    // Somebody may have begun another epoch in between, for all but the one who was being invited.
    const now = await this.keys.current(chatId);
    if (now.epoch > epoch) await this.keys.rotate(chatId, now.epoch);
  }

  async answer(invitationId: string, response: 'accepted' | 'declined'): Promise<void> {
    const path = `/api/conversations/invitations/${encodeURIComponent(invitationId)}/respond`;
    const vouched = response === 'accepted' ? await this.vouchBack(invitationId) : undefined;
    await ask(this.host, path, { body: { response, ...(vouched !== undefined && { vouch: vouched }) } });
    await this.waitFor(async () => {
      const members = await this.host.store.read((tx) => tx.all('chatMembers'));
      return !members.some(({ row }) => row.invitationId === invitationId && row.state === 'invited');
    });
  }

  async remove(chatId: string, userId: string): Promise<void> {
    await ask(this.host, `/api/conversations/${chatId}/members/${userId}`, { method: 'DELETE' });
    await this.waitFor(async () => {
      const state = await this.stateOf(chatId, userId);
      return state !== 'accepted' && state !== 'invited';
    });
    await this.keys.current(chatId);
  }

  async setRole(chatId: string, userId: string, role: 'owner' | 'admin' | 'member'): Promise<void> {
    await ask(this.host, `/api/conversations/${chatId}/members/${userId}`, { method: 'PATCH', body: { role } });
    await this.waitFor(async () => (await this.host.store.read((tx) => tx.get('chatMembers', within(chatId, userId))))?.row.role === role); // prettier-ignore
  }

  async leave(chatId: string): Promise<void> {
    await ask(this.host, `/api/conversations/${chatId}/leave`, { method: 'POST' });
    await this.waitFor(async () => !(await this.isMine(chatId)));
  }

  async end(chatId: string): Promise<void> {
    await ask(this.host, `/api/conversations/${chatId}`, { method: 'DELETE' });
    await this.waitFor(async () => !(await this.isMine(chatId)));
  }

  async rename(chatId: string, name: string): Promise<void> {
    const { epoch, key, own, me } = await this.keys.current(chatId);
    const held = (await this.host.store.read((tx) => ownChat(tx, chatId))).name;
    const version = Math.max(Date.now(), (held?.version ?? 0) + 1);
    const context = { kind: 'name', chatId, id: chatId, userId: me, epoch } as const;
    const value: NameBody = { name: name.trim(), version };
    const sealed = nameOf(context, await sealChat(key, own.signing.privateKey, context, value));
    await ask(this.host, `/api/conversations/${chatId}`, { method: 'PATCH', body: { name: sealed } });
    await this.waitFor(async () => (await this.host.store.read((tx) => tx.get('chats', chatId)))?.name?.version !== held?.version); // prettier-ignore
  }

  async search(term: string): Promise<FoundPerson[]> {
    const found = await this.look(term, 'startsWith');
    return found.map(({ user_id: userId, pseudo: name, fingerprint, public_key: key }) => ({
      userId,
      name,
      fingerprint,
      usable: readPublicKey(key) !== undefined,
    }));
  }

  /** The person here says that they belong there. They get the next key, which begins with that. */
  async vouch(chatId: string, userIds: string[]): Promise<void> {
    const { store } = this.host;
    await store.exclusive('chats', () =>
      store.write(async (tx) => {
        const chat = await tx.get('chats', chatId);
        if (chat?.row === undefined) return;
        const members = await tx.getMany('chatMembers', userIds.map((id) => within(chatId, id))); // prettier-ignore
        const people = await tx.getMany('people', userIds);
        // Who has no key yet: it would be the first one that the server names.
        const missing = members.filter((member, i) => member && isIn(member.row.state) && !isVouched(chat, member) && people[i]?.keys.length); // prettier-ignore
        if (missing.length === 0) return;
        await tx.put('chatMembers', missing.map((member) => ({ ...member!, vouched: true }))); // prettier-ignore
        await tx.put('chats', [{ ...chat, spent: chat.row.epoch }]);
      }),
    );
  }

  /** Of who invites into a group, for whom knows oneself: undefined where it was not them, as far as can be told. */
  private async vouchBack(invitationId: string): Promise<string | undefined> {
    const { own, keys } = await myIdentity(this.host.store);
    const found = await this.host.store.read(async (tx) => {
      const mine = (await tx.all('chatMembers')).find(({ row }) => row.invitationId === invitationId);
      const chat = mine && (await tx.get('chats', mine.chatId));
      const inviter = mine?.row.invitedBy === undefined ? undefined : await tx.get('people', mine.row.invitedBy);
      return { mine, chat, inviter };
    });
    const { mine, chat, inviter } = found;
    const key = inviter && currentKey(inviter);
    if (mine === undefined || chat?.row?.group !== true || key === undefined) return undefined;
    const { id: chatId, me } = chat;
    const isTheirs = await isVouch(mine.row.vouch, key, keys.map(publicKeyOf), { chatId, userId: me, by: inviter!.id, since: (mine.out ?? 0) + 1 }); // prettier-ignore
    return isTheirs ? vouch(own, key, { chatId, userId: inviter!.id, by: me, epoch: chat.row.epoch }) : undefined;
  }

  /** Who is new reads the name with the newest key. */
  private async renewName(chatId: string, epoch: number): Promise<void> {
    const chat = await this.host.store.read((tx) => tx.get('chats', chatId));
    const sealed = chat?.row?.name === undefined ? undefined : readName(chat.row.name);
    if (chat?.name !== undefined && sealed !== undefined && sealed.epoch < epoch) await this.rename(chatId, chat.name.text); // prettier-ignore
  }

  private async find(name: string): Promise<Found> {
    const [person] = await this.look(name, 'exact');
    if (person === undefined) throw new ClientError('person_not_found', 'Nobody of this name can be found');
    if (readPublicKey(person.public_key) === undefined)
      throw new ClientError('key_not_usable', 'This person uses an app that encrypts in another way');
    return person;
  }

  private look(term: string, method: string): Promise<Found[]> {
    return ask<Found[]>(this.host, `/api/profile/search/${encodeURIComponent(term)}?method=${method}`);
  }

  /** The first key that is heard of is theirs; another one needs somebody's word. */
  private async meet({ user_id: id, pseudo: name, public_key: key }: Found): Promise<void> {
    const { store } = this.host;
    await store.exclusive('chats', () =>
      store.write(async (tx) => {
        const known = await tx.get('people', id);
        if (known === undefined || known.keys.length === 0) return tx.put('people', [{ id, name, keys: [key] }]);
        if (currentKey(known) === key) return;
        // A change that they signed comes with a row of theirs, if there is one.
        if (!known.keys.includes(key)) await tx.put('people', [{ ...known, keyChanged: 'unsigned', offered: key }]);
        throw new ClientError('key_changed', 'This person has another key than before');
      }),
    );
  }

  private stateOf(chatId: string, userId: string): Promise<string | undefined> {
    return this.host.store.read(async (tx) => (await tx.get('chatMembers', within(chatId, userId)))?.row.state);
  }

  private async isMine(chatId: string): Promise<boolean> {
    return (await this.host.store.read((tx) => membershipIn(tx, chatId))) === 'accepted';
  }
}
