import { createReadStream, statSync } from 'node:fs';
import type { ToldMessage } from '@pairline/client';
import type { Account } from './account.js';
import { BackupParser, BackupProblem, type BackupText, type Skipped, type Without } from './backup.js';
import { Fingerprints } from './fingerprints.js';
import { fingerprint } from './told.js';

/** What became of the elements of a backup. */
export interface ImportCounts {
  read: number;
  added: number;
  known: number;
  skipped: Record<Skipped | 'refused' | 'too-long' | 'no-room', number>;
  /** Pictures and other files of MMS that came with what was added. */
  files: number;
  /** Files whose MMS came without them. */
  without: Record<Without, number>;
  /** Bytes that a file may have on this server. */
  largest: number;
  /** Why reading ended early; what was counted before is in. */
  problem?: string;
}

const BATCH = 500;
/** Of files, in memory; the last MMS comes on top. */
const BATCH_BYTES = 4 * 1024 * 1024;
/** Sealed and in base64 it has to stay below the 65,536 characters that a server takes. */
const MAX_TEXT_BYTES = 48_000;
/** What a file takes in it at most: its key, and the longest name. */
const REFERENCE_BYTES = 1_200;

/**
 * Adds the texts of a backup that the account does not have, with the files of MMS. The backup is read in pieces; texts go to the
 * server in batches, and reading waits for them. A second time nothing is added, and what broke off goes on. Rejects when the
 * backup cannot be opened.
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
    skipped: { draft: 0, 'no-number': 0, group: 0, 'no-text': 0, 'no-date': 0, 'too-long': 0, 'no-room': 0, refused: 0 }, // prettier-ignore
    files: 0,
    without: { 'too-large': 0, damaged: 0 },
    largest: await (await account.client.files()).maxSize(),
  };
  let waiting: BackupText[] = [];
  let waitingBytes = 0;
  const inFile = new Fingerprints();
  const parser = new BackupParser(
    {
      text: (text) => {
        counts.read += 1;
        const { files = [] } = text;
        if (Buffer.byteLength(text.text) + files.length * REFERENCE_BYTES > MAX_TEXT_BYTES)
          counts.skipped['too-long'] += 1;
        else {
          waiting.push(text);
          for (const { bytes } of files) waitingBytes += bytes.length;
        }
      },
      skipped: (why) => {
        counts.read += 1;
        counts.skipped[why] += 1;
      },
      without: (why) => (counts.without[why] += 1),
    },
    counts.largest,
  );
  const flush = async () => {
    for (let at = 0; at < waiting.length; at += BATCH) await addBatch(waiting.slice(at, at + BATCH), account, inFile, counts); // prettier-ignore
    waiting = [];
    waitingBytes = 0;
  };
  let done = 0;
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 18 }) as AsyncIterable<Buffer>) {
      parser.write(chunk);
      done += chunk.length;
      if (waiting.length < BATCH && waitingBytes < BATCH_BYTES) continue;
      await flush();
      progress(done / size, counts);
    }
    parser.end();
  } catch (error) {
    if (!(error instanceof BackupProblem)) throw error;
    counts.problem = error.message;
  }
  await flush();
  if (counts.problem === undefined) await account.dropUploads();
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
      const { type, timestamp } = text;
      const id = `i${told.id('import', type, number, Math.floor(timestamp / 1000), text.text, nth)}`;
      let full = false;
      const files = await account.upload(id, text.files, (why) => {
        if (why === 'no-room') full = true;
        else counts.without[why] += 1;
      });
      // As if it had not been read: once there is room, another import brings it.
      if (full) {
        counts.skipped['no-room'] += 1;
        continue;
      }
      if (text.text === '' && files.length === 0) {
        counts.skipped['no-text'] += 1;
        continue;
      }
      counting.add('import', same);
      counts.files += files.length;
      fresh.push(account.toTold(id, number, text, files));
      names.set(number, names.get(number) || account.knownName(number) || text.name || '');
    }
    let refused = 0;
    await account.put(fresh, names, { texts: counting.added }, () => (refused += 1));
    counts.added += fresh.length - refused;
    counts.skipped.refused += refused;
  });
}

/** The counts in sentences. */
export function toSentences({ read, added, known, skipped, files, without, largest, problem }: ImportCounts): string[] {
  const reasons: Record<keyof typeof skipped, string> = {
    draft: 'drafts or never sent',
    'no-number': 'without a number',
    group: 'in groups',
    'no-text': 'without a text or a file',
    'no-date': 'without a date',
    'too-long': 'too long',
    'no-room': 'with files that the server has no room for: make some, and import again',
    refused: 'refused by the server',
  };
  const left = (Object.keys(reasons) as (keyof typeof skipped)[]).filter((why) => skipped[why] > 0);
  return [
    ...(problem === undefined ? [] : [problem]),
    `${read} read: ${added} new, ${known} already there, ${left.reduce((sum, why) => sum + skipped[why], 0)} left out.`,
    ...left.map((why) => `  ${skipped[why]} ${reasons[why]}`),
    ...(files === 0 ? [] : [`Pictures and other files that came with them: ${files}.`]),
    ...(without['too-large'] === 0
      ? []
      : [`Files larger than the server takes (${sizeOf(largest)}): ${without['too-large']}, left out; the rest of their MMS was taken.`]), // prettier-ignore
    ...(without.damaged === 0
      ? []
      : [
          `Files that are empty or damaged in the backup: ${without.damaged}, left out; the rest of their MMS was taken.`,
        ]),
  ];
}

/** "2.1 MB" */
function sizeOf(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}
