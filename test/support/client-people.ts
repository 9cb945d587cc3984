import { randomUUID } from 'node:crypto';
import { memoryStore, type Chat, type ChatMessage, type Chats, type Store, type WebClient } from '@pairline/client';
import { inPhase, letIn, until, webAt } from './client-ends.js';

// People with devices that talk to each other by the client library, against a real server.

export interface Device {
  web: WebClient;
  chats: Chats;
  store: Store;
}

const AS = { deviceName: 'A browser', remember: true };

/** Somebody with a name of their own; each device is let in by the first one. `urls`: where each of them finds the server. */
export async function personAt(...urls: string[]): Promise<{ name: string; devices: Device[] }> {
  const name = `p${randomUUID().slice(0, 13)}`;
  const devices: Device[] = [];
  for (const url of urls) {
    const store = memoryStore();
    const web = await webAt(url, { store });
    if (devices.length === 0) await web.register({ name, password: 'a long password', ...AS });
    else await letIn(devices[0]!.web, web);
    devices.push(await deviceOf(web, store));
  }
  return { name, devices };
}

/** Resolves once it has the keys of the account and of the person. */
export async function deviceOf(web: WebClient, store: Store): Promise<Device> {
  await inPhase(web, 'live');
  const chats = await web.chats();
  const isReady = () =>
    store.read(async (tx) => web.state.keys === 'here' && (await tx.value('published')) !== undefined);
  await until(isReady, (again) => [web.on('state', again), web.on('conversations', again), chats.on('people', again), every(again)], 'keys'); // prettier-ignore
  await inPhase(web, 'live');
  return { web, chats, store };
}

/** Looks again whenever the event loop is idle: nothing tells of it. */
export function every(again: () => void): () => void {
  const timer = setInterval(again, 20);
  return () => clearInterval(timer);
}

/** Resolves once a device shows what is looked for. */
export function seen<T>({ chats, web }: Device, look: () => Promise<T | undefined | false>, what?: string): Promise<T> {
  return until(look, (again) => [chats.on('chats', again), chats.on('chat', again), chats.on('invitations', again), chats.on('people', again), web.on('state', again)], what); // prettier-ignore
}

/** What a chat says on a device: texts, or why there is none. */
export async function said({ chats }: Device, chatId: string): Promise<string[]> {
  return (await chats.messages(chatId)).map(lineOf);
}

function lineOf({ text, fault, deleted }: ChatMessage): string {
  return fault ?? (deleted ? 'deleted' : text);
}

/** Resolves once a chat says this on a device. */
export function says(device: Device, chatId: string, texts: string[]): Promise<unknown> {
  const wanted = JSON.stringify(texts);
  return seen(device, async () => JSON.stringify(await said(device, chatId)) === wanted, wanted);
}

export function chatOn({ chats }: Device, chatId: string): Promise<Chat> {
  return chats.chat(chatId).then((chat) => chat!);
}

/** Accepts the invitation that there is; resolves with the chat's id. */
export async function accept(device: Device): Promise<string> {
  const invitation = await seen(device, async () => (await device.chats.invitations())[0], 'an invitation');
  await device.chats.answer(invitation.id, 'accepted');
  await seen(device, () => device.chats.chat(invitation.chatId), 'the chat');
  return invitation.chatId;
}
