import { chunkAt, placeOf, sealedSize, type FileCipher } from './cipher.js';
import type { FileServer } from './file-server.js';
import { patiently, type Bell } from './patience.js';
import { readSealed } from './source.js';
import type { FileProgress, FileSource } from './types.js';

/** Chunks that go in one request: so many that it takes about a second, to be told how far it is, and to lose little. */
const FEWEST = 1;
const FIRST = 4;
const MOST = 64;
const QUICK_MS = 500;
const SLOW_MS = 2000;

export interface Way {
  server: FileServer;
  bell: Bell;
  signal: AbortSignal;
  onProgress?: (progress: FileProgress) => void;
}

/** Sends all of a file that the server has not got yet, in parts, for as long as it takes. */
export class Sending {
  private atOnce = FIRST;
  private told = 0;
  private readonly bytes: number;

  /** `offset`: how much the server has; undefined when it has to be asked. */
  constructor(
    private readonly way: Way,
    private readonly id: string,
    private readonly source: FileSource,
    private readonly cipher: FileCipher,
    private offset?: number,
  ) {
    this.bytes = sealedSize(cipher.size);
  }

  run(): Promise<void> {
    const waiting = () => {
      this.atOnce = Math.max(FEWEST, this.atOnce / 2);
      this.tell({ waiting: true });
    };
    return patiently((good) => this.send(good), { ...this.way, waiting });
  }

  private async send(good: () => void): Promise<void> {
    const { server, signal } = this.way;
    this.offset ??= await server.offset(this.id, signal);
    this.tell();
    for (let offset = this.offset; offset < this.bytes;) {
      const end = Math.min(this.bytes, placeOf(chunkAt(offset) + this.atOnce));
      const part = await readSealed(this.source, this.cipher, offset, end);
      const began = Date.now();
      // Unless it answers, only the server knows how much of it came.
      this.offset = undefined;
      this.offset = offset = await server.add(this.id, offset, part, signal);
      this.adapt(Date.now() - began);
      good();
      this.tell();
    }
  }

  private adapt(took: number): void {
    if (took < QUICK_MS) this.atOnce = Math.min(MOST, this.atOnce * 2);
    else if (took > SLOW_MS) this.atOnce = Math.max(FEWEST, this.atOnce / 2);
  }

  private tell(more: { waiting?: true } = {}): void {
    this.told = this.offset ?? this.told;
    const { size } = this.cipher;
    this.way.onProgress?.({ done: Math.min(size, this.told), size, ...more });
  }
}
