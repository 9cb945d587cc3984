import type { FileReference, FilesClient } from '@pairline/client';

/** `client.files`: loads its part of the library when it is first called. */
export type LoadFiles = () => Promise<FilesClient>;

/** A file that is to go with the next message. */
export interface TrayFile {
  key: number;
  file: File;
  /** `queued`: others go first; `waiting`: for the connection; it goes on by itself. */
  state: 'queued' | 'sending' | 'waiting' | 'ready' | 'failed';
  /** Bytes that are with the server. */
  done: number;
  /** An error code. */
  problem?: string;
  /** Of one that is too large: how large a file may be. */
  largest?: number;
  reference?: FileReference;
}

/** Uploads at the same time. */
const AT_ONCE = 2;
/** Bounds of a message: references travel in it, with their thumbnails, and sealed it has to be within MAX_TEXT_LENGTH. */
const FILES_A_MESSAGE = 10;
const BYTES_A_MESSAGE = 44_000;

/** The files that go with the next message of one conversation. They are uploaded as soon as they are chosen. */
export class Tray {
  private rows: readonly TrayFile[] = [];
  private readonly stops = new Map<number, AbortController>();
  private readonly listeners = new Set<() => void>();
  private files: FilesClient | undefined;
  private next = 0;

  constructor(private readonly load: LoadFiles) {}

  readonly list = (): readonly TrayFile[] => this.rows;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  add(files: Iterable<File>): void {
    const rows = Array.from(files, (file): TrayFile => ({ key: this.next++, file, state: 'queued', done: 0 }));
    this.show([...this.rows, ...rows]);
    for (const { key, file } of rows) void this.refuse(key, file);
    this.pump();
  }

  retry(key: number): void {
    this.change(key, { state: 'queued', done: 0, problem: undefined });
    this.pump();
  }

  /** Gives an upload up; one that is ready goes from the server. */
  remove(key: number): void {
    const row = this.rows.find((row) => row.key === key);
    this.show(this.rows.filter((row) => row.key !== key));
    this.stops.get(key)?.abort();
    if (row !== undefined) this.discard([row]);
  }

  /** The page goes, and what was not sent with it: it would take room on the server for nothing. */
  abandon(): void {
    this.discard(this.rows);
  }

  /**
   * Takes all files out, in groups that fit in one message each: the first, which may be empty, with this text, each further one in a
   * message of its own. Nothing while one of them is not ready. `putBack`, when they could not be sent.
   */
  take(text = ''): { groups: FileReference[][]; putBack: () => void } | undefined {
    const taken = this.rows;
    const references = taken.flatMap(({ reference }) => (reference === undefined ? [] : [reference]));
    if (references.length < taken.length) return undefined;
    this.show([]);
    return { groups: inGroups(references, text), putBack: () => this.show([...taken, ...this.rows]) };
  }

  private discard(rows: readonly TrayFile[]): void {
    // A page that goes waits for nothing, and what is ready was uploaded by a client that is here.
    for (const { reference } of rows)
      if (reference !== undefined)
        this.files?.remove(reference.id).catch(() => {
          // It stays on the server, where nobody sees it.
        });
  }

  /** Says at once what will not go. */
  private async refuse(key: number, { size }: File): Promise<void> {
    const largest = await this.load().then((files) => files.maxSize()).catch(() => Infinity); // prettier-ignore
    if (size <= largest) return;
    this.change(key, { state: 'failed', problem: 'file_too_large', largest });
    this.stops.get(key)?.abort();
  }

  private pump(): void {
    while (this.stops.size < AT_ONCE) {
      const row = this.rows.find(({ state }) => state === 'queued');
      if (row === undefined) return;
      void this.upload(row);
    }
  }

  private async upload({ key, file }: TrayFile): Promise<void> {
    const stop = new AbortController();
    this.stops.set(key, stop);
    this.change(key, { state: 'sending' });
    try {
      this.files = await this.load();
      const reference = await this.files.upload(file, {
        signal: stop.signal,
        onProgress: ({ done, waiting }) => this.change(key, { done, state: waiting ? 'waiting' : 'sending' }),
      });
      this.change(key, { state: 'ready', done: file.size, reference });
    } catch (error) {
      if (!stop.signal.aborted) this.change(key, { state: 'failed', problem: codeOf(error) });
    } finally {
      this.stops.delete(key);
      this.pump();
    }
  }

  private change(key: number, change: Partial<TrayFile>): void {
    this.show(this.rows.map((row) => (row.key === key ? { ...row, ...change } : row)));
  }

  private show(rows: readonly TrayFile[]): void {
    this.rows = rows;
    for (const listener of this.listeners) listener();
  }
}

export function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : 'internal';
}

function inGroups(references: FileReference[], text: string): FileReference[][] {
  if (references.length === 0) return [];
  const groups: FileReference[][] = [[]];
  let bytes = bytesOf(text);
  for (const reference of references) {
    const own = bytesOf(reference);
    const group = groups.at(-1)!;
    if (group.length < FILES_A_MESSAGE && bytes + own <= BYTES_A_MESSAGE) {
      group.push(reference);
      bytes += own;
    } else {
      groups.push([reference]);
      bytes = own;
    }
  }
  return groups;
}

function bytesOf(value: unknown): number {
  return new TextEncoder().encode(JSON.stringify(value)).length;
}
