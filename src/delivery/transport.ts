import type { ErrorCode } from '../errors.js';
import type { Guest } from './doorman.js';
import type { Frame } from './frame.js';

/** One open connection: it frames, knows how much waits in it, and ends. Whose it is, is not its to know: see `Peer`. */
export interface Transport {
  readonly id: string;
  /** What the doorman knows it by. */
  readonly guest: Guest;
  /** What the client said as it connected. Nothing of it has been checked. */
  readonly said: { after?: unknown; inviteToken?: unknown };
  /** False as soon as its end has begun. */
  readonly isOpen: boolean;
  /** Bytes that were written, and that the network has not taken yet. */
  readonly bufferedBytes: number;
  /** Who waits for an acknowledgement, by the id of the event that asked for it. */
  readonly asked: Map<number, (reply?: { ok?: boolean }) => void>;

  /** Everything is sent in the order it was written. */
  write(frame: Frame): void;
  /** Resolves when the network has taken more, or the connection is gone. */
  drained(): Promise<void>;
  /** What was written goes out, then the connection ends for good: the client does not come back by itself. */
  end(code: ErrorCode): void;
  /** The same, so that the client connects again by itself. */
  recall(code: ErrorCode): void;
  /** Ends it at once. What was written and not taken is lost. */
  destroy(): void;
}
