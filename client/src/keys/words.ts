import { SAFETY_INFO } from '@pairline/protocol';
import { loadPart } from '../part.js';
import { utf8 } from './bytes.js';

const BITS_A_WORD = 11;

/** The safety words of two keys (protocol/src/envelope.ts and chat.ts), the same whichever comes first. */
export async function safetyWords(whose: string, oneKey: string, otherKey: string, count: number): Promise<string[]> {
  // The list is larger than everything else here, and most people never look.
  const { wordlist } = await loadPart(() => import('@scure/bip39/wordlists/english.js'));
  const parts = [SAFETY_INFO, whose, ...[oneKey, otherKey].sort()];
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', utf8(parts.join('|'))));
  let bits = 0n;
  for (const byte of digest) bits = (bits << 8n) | BigInt(byte);
  return Array.from({ length: count }, (_, index) => {
    const shift = BigInt(8 * digest.length - BITS_A_WORD * (index + 1));
    return wordlist[Number((bits >> shift) & 0x7ffn)]!;
  });
}
