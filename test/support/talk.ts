import { Client, follower, type Ack } from './clients.js';
import { aGroup, aPerson, invite, post, respond, sealed } from './people.js';

/** Two people do with each other all that can be done by events; resolves with the connections, when all is told. */
export async function talk(url: string, act: (client: Client, event: string, payload: unknown) => Promise<Ack>) {
  const [ada, bob, cleo] = [await aPerson(url), await aPerson(url), await aPerson(url)];
  const id = await aGroup(ada, bob);
  await post(bob, id);
  const connect = async (token: string) => {
    const client = new Client(url, { auth: { token } });
    await client.connected();
    return client;
  };
  const [hers, his, guest, following] = [await connect(ada.token), await connect(bob.token), await connect(cleo.token), follower(url, bob.token)]; // prettier-ignore
  await hers.next('pendingNotifications');
  await act(hers, 'joinConversation', { conversationId: id });
  await act(hers, 'userTyping', { conversationId: id });
  const message = { conversationId: id, messageId: 'm-1', messageContent: sealed(), epoch: 1 };
  await act(hers, 'sendMessage', message);
  await act(hers, 'editMessage', { ...message, messageContent: sealed() });
  for (const content of [sealed(), null]) await act(his, 'react', { conversationId: id, messageId: 'm-1', content });
  await act(his, 'react', { conversationId: id, messageId: 'm-1', content: sealed() });
  await act(his, 'markConversation', { conversationId: id, read: 1e6 });
  await act(hers, 'deleteMessage', { conversationId: id, messageId: 'm-1' });
  const { invitation_id } = await invite(ada, cleo, id, { history: true });
  await guest.next('pendingNotifications');
  await respond(cleo, invitation_id);
  await guest.next('conversationChanged');
  await cleo.do('PUT', `/api/blocks/${bob.id}`);
  await his.next('userStoppedTyping');
  await his.next('memberChanged', ({ member }) => member.state === 'accepted');
  const newest = (await bob.snapshot()).cursor;
  await following.until(() => following.all('changes').some(({ cursor }) => cursor >= newest), 'the last change');
  return [hers, his, guest, following];
}
