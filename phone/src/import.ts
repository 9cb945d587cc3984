import { createReadStream, statSync } from 'node:fs';
import type { ToldMessage } from '@pairline/client';
import type { Account } from './account.js';
import { BackupParser, BackupProblem, type BackupText, type Skipped } from './backup.js';
import { Fingerprints } from './fingerprints.js';
import { fingerprint } from './told.js';

/** What became of the elements of a backup. */
export interface ImportCounts {
  read: number;
  added: number;
  known: number;
  skipped: Record<Skipped | 'refused' | 'too-long', number>;
  /** Pictures and other files in MMS, which are left out. */
  attachments: number;
  /** Why reading ended early; what was counted before is in. */
  problem?: string;
}

const BATCH = 500;
/** Sealed and in base64 it has to stay below the 65,536 characters that a server takes. */
const MAX_TEXT_BYTES = 48_000;

/**
 * Adds the texts of a backup that the account does not have. The file is read in pieces; texts go to the server in batches, and
 * reading waits for them. A second time nothing is added. Rejects when the file cannot be opened.
 */
export async function importBackup(
  path: string,
  account: Account,
  progress: (done: number, counts: ImportCounts) => void,
): Promise<ImportCounts> {
  const size = statSync(path).size;
  const counts: ImportCounts = {
    read: 0,
    added: 0,
    known: 0,
    skipped: { draft: 0, 'no-number': 0, group: 0, 'no-text': 0, 'no-date': 0, 'too-long': 0, refused: 0 },
    attachments: 0,
  };
  let waiting: BackupText[] = [];
  const inFile = new Fingerprints();
  const parser = new BackupParser({
    text: (text) => {
      counts.read += 1;
      if (Buffer.byteLength(text.text) > MAX_TEXT_BYTES) counts.skipped['too-long'] += 1;
      else waiting.push(text);
    },
    skipped: (why) => {
      counts.read += 1;
      counts.skipped[why] += 1;
    },
    attachment: () => (counts.attachments += 1),
  });
  const flush = async () => {
    for (let at = 0; at < waiting.length; at += BATCH) await addBatch(waiting.slice(at, at + BATCH), account, inFile, counts); // prettier-ignore
    waiting = [];
  };
  let done = 0;
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 18 }) as AsyncIterable<Buffer>) {
      parser.write(chunk);
      done += chunk.length;
      if (waiting.length < BATCH) continue;
      await flush();
      progress(done / size, counts);
    }
    parser.end();
  } catch (error) {
    if (!(error instanceof BackupProblem)) throw error;
    counts.problem = error.message;
  }
  await flush();
  progress(1, counts);
  return counts;
}

function addBatch(texts: BackupText[], account: Account, inFile: Fingerprints, counts: ImportCounts): Promise<void> {
  const { told } = account;
  return told.exclusively(async () => {
    const counting = told.count();
    const fresh: ToldMessage[] = [];
    const names = new Map<string, string>();
    for (const text of texts) {
      const number = account.normalize(text.number);
      const same = { ...text, number };
      // The second of two equal texts in this file is the second of the phone, and the second of an earlier import.
      let nth = 0;
      while (inFile.has(fingerprint('file', same, nth))) nth += 1;
      inFile.add(fingerprint('file', same, nth));
      if (nth < counting.of('phone', same) || nth < counting.of('import', same)) {
        counts.known += 1;
        continue;
      }
      counting.add('import', same);
      const { type, timestamp } = text;
      const id = `i${told.id('import', type, number, Math.floor(timestamp / 1000), text.text, nth)}`;
      fresh.push(account.toTold(id, number, text));
      names.set(number, names.get(number) || account.knownName(number) || text.name || '');
    }
    let refused = 0;
    const added = await account.put(fresh, names, () => (refused += 1));
    told.write({ texts: counting.added, names: added });
    counts.added += fresh.length - refused;
    counts.skipped.refused += refused;
  });
}

/** The counts in sentences. */
export function toSentences({ read, added, known, skipped, attachments, problem }: ImportCounts): string[] {
  const reasons: Record<keyof typeof skipped, string> = {
    draft: 'drafts or never sent',
    'no-number': 'without a number',
    group: 'in groups',
    'no-text': 'without a text',
    'no-date': 'without a date',
    'too-long': 'too long',
    refused: 'refused by the server',
  };
  const left = (Object.keys(reasons) as (keyof typeof skipped)[]).filter((why) => skipped[why] > 0);
  return [
    ...(problem === undefined ? [] : [problem]),
    `${read} read: ${added} new, ${known} already there, ${left.reduce((sum, why) => sum + skipped[why], 0)} left out.`,
    ...left.map((why) => `  ${skipped[why]} ${reasons[why]}`),
    ...(attachments === 0
      ? []
      : [`${attachments} pictures and other files of MMS were left out; their texts were taken.`]),
  ];
}
