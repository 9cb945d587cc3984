import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  randomFillSync,
  type KeyObject,
} from 'node:crypto';
import type { Database } from '../database/database.js';

/*
 * Sealing at rest: AES-256-GCM under the account's data key, with account, kind and id as associated data, so that a
 * sealed value means nothing in any other row. Layout: version (1) | key id (4) | iv (12) | ciphertext | tag (16).
 */
const VERSION = 1;
const KEY_ID_AT = 1;
const IV_AT = 5;
const BODY_AT = 17;
const TAG_BYTES = 16;
/** How much longer a sealed value is than its text in UTF-8. */
export const SEALING_BYTES = BODY_AT + TAG_BYTES;

/** Where an account is: the realm it belongs to, and the database that has its rows. */
export interface Home {
  realm: string;
  database: Database;
}

/** An account: where its rows are, and what is needed to seal and open them. Lives in memory only. */
export class AccountKey {
  private readonly contentKey: KeyObject;
  private readonly indexKey: Buffer;
  private readonly context: string;

  constructor(
    /** The account's id. */
    readonly id: string,
    /** Names the data key in each sealed value. */
    private readonly keyId: number,
    dataKey: Buffer,
    readonly home: Home,
  ) {
    this.contentKey = createSecretKey(derive(dataKey, 'content'));
    this.indexKey = derive(dataKey, 'index');
    this.context = `pairline:${id}:`;
  }

  seal(kind: string, id: string, text: string): Buffer {
    const iv = nextIv();
    const cipher = createCipheriv('aes-256-gcm', this.contentKey, iv);
    cipher.setAAD(Buffer.from(`${this.context}${kind}:${id}`));
    const body = cipher.update(text, 'utf8');
    cipher.final();
    const sealed = Buffer.allocUnsafe(body.length + SEALING_BYTES);
    sealed[0] = VERSION;
    sealed.writeUInt32BE(this.keyId, KEY_ID_AT);
    iv.copy(sealed, IV_AT);
    body.copy(sealed, BODY_AT);
    cipher.getAuthTag().copy(sealed, BODY_AT + body.length);
    return sealed;
  }

  /** Throws when the value was changed, moved to another row, or sealed by another key. */
  open(kind: string, id: string, sealed: Buffer): string {
    if (sealed.length < SEALING_BYTES || sealed[0] !== VERSION) throw new Error(`Not a sealed ${kind}`);
    if (sealed.readUInt32BE(KEY_ID_AT) !== this.keyId) throw new Error(`A ${kind} sealed by an unknown key`);
    const decipher = createDecipheriv('aes-256-gcm', this.contentKey, sealed.subarray(IV_AT, BODY_AT));
    decipher.setAAD(Buffer.from(`${this.context}${kind}:${id}`));
    decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
    const text = decipher.update(sealed.subarray(BODY_AT, sealed.length - TAG_BYTES), undefined, 'utf8');
    return text + decipher.final('utf8');
  }

  /** A keyed hash by which a value can be found again without being stored. 16 bytes, other for each account. */
  index(purpose: string, value: string): Buffer {
    return createHmac('sha256', this.indexKey).update(`${purpose}:${value}`).digest().subarray(0, 16);
  }
}

function derive(dataKey: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', dataKey, Buffer.alloc(0), `pairline ${purpose}`, 32));
}

// Random bytes cost more by the call than by the byte, so IVs are cut from a block.
const IV_BYTES = 12;
const block = Buffer.allocUnsafe(IV_BYTES * 512);
let used = block.length;
function nextIv(): Buffer {
  if (used === block.length) {
    randomFillSync(block);
    used = 0;
  }
  const iv = Buffer.from(block.subarray(used, used + IV_BYTES));
  used += IV_BYTES;
  return iv;
}
