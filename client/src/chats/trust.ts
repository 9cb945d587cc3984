import type { ChatMemberRow } from '@pairline/protocol';
import type { PersonRecord } from '../store.js';
import { isSignedChange, readPublicKey } from './identity.js';

// Which keys are believed to be whose. The first one that is heard of is; another one only when the one before signed it, or
// when somebody says so.

/** What a member's row says of a person, put to what is known of them. */
export async function learnPerson(known: PersonRecord | undefined, row: ChatMemberRow): Promise<PersonRecord> {
  const { userId: id, name, publicKey } = row;
  const person: PersonRecord = { ...(known ?? { id, keys: [] }), name };
  const trusted = currentKey(person);
  // One that is of another app, or that was given up, says nothing.
  if (readPublicKey(publicKey) === undefined || person.keys.includes(publicKey)) {
    // The server is back at what is trusted.
    return publicKey === trusted && person.keyChanged === 'unsigned' ? settled(person) : person;
  }
  if (trusted === undefined) return { ...person, keys: [publicKey] };
  if (row.previousKey === trusted && (await isSignedChange(trusted, publicKey, row.keySignature)))
    return { ...settled(person), keys: [...person.keys, publicKey], keyChanged: 'signed' };
  return { ...person, keyChanged: 'unsigned', offered: publicKey };
}

/** Takes the key that the server offers for theirs. */
export function acceptKey(person: PersonRecord): PersonRecord {
  const { offered } = person;
  return { ...settled(person), keys: offered === undefined ? person.keys : [...person.keys, offered] };
}

/** The public key to wrap for. */
export function currentKey({ keys }: PersonRecord): string | undefined {
  return keys.at(-1);
}

/** The keys for signing that somebody has had. */
export function signersOf(keys: string[]): string[] {
  return keys.flatMap((key) => readPublicKey(key)?.signing ?? []);
}

function settled({ keyChanged: _changed, offered: _offered, ...person }: PersonRecord): PersonRecord {
  return person;
}
