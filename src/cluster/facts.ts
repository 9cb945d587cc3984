import { EventEmitter } from 'node:events';
import type { Cluster } from './cluster.js';

type Listener = (...args: unknown[]) => void;

/**
 * Facts, told after they were committed: plain data. `on` hears those of every server that shares the database; who does something
 * about a fact that is to be done once listens by `onOwn`.
 */
export class Facts<T extends Record<keyof T, unknown[]>> {
  private readonly all = new EventEmitter();
  private readonly own = new EventEmitter();

  /** `topic` is theirs alone. */
  constructor(
    private readonly cluster: Cluster,
    private readonly topic: string,
  ) {
    cluster.hear(topic, (name: string, ...args: unknown[]) => this.all.emit(name, ...args));
  }

  /** Answers what ends it. */
  on<K extends keyof T & string>(name: K, listener: (...args: T[K]) => void): () => void {
    return listen(this.all, name, listener as unknown as Listener);
  }

  /** What this server did itself. */
  onOwn<K extends keyof T & string>(name: K, listener: (...args: T[K]) => void): () => void {
    return listen(this.own, name, listener as unknown as Listener);
  }

  emit<K extends keyof T & string>(name: K, ...args: T[K]): void {
    this.all.emit(name, ...args);
    this.own.emit(name, ...args);
    this.cluster.tell(this.topic, name, ...args);
  }
}

function listen(emitter: EventEmitter, name: string, listener: Listener): () => void {
  emitter.on(name, listener);
  return () => void emitter.off(name, listener);
}
