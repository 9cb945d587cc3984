type Listeners<Events extends Record<keyof Events, unknown[]>> = {
  [E in keyof Events]?: Set<(...args: Events[E]) => void>;
};

/** Tells those who listen. Events are named with what they carry: `{ moved: [from: string] }`. */
export class Emitter<Events extends Record<keyof Events, unknown[]>> {
  private readonly listeners: Listeners<Events> = {};

  /** The answer takes the listener off again. */
  on<E extends keyof Events>(event: E, listener: (...args: Events[E]) => void): () => void {
    const set = (this.listeners[event] ??= new Set());
    set.add(listener);
    return () => set.delete(listener);
  }

  emit<E extends keyof Events>(event: E, ...args: Events[E]): void {
    for (const listener of [...(this.listeners[event] ?? [])])
      try {
        listener(...args);
      } catch (error) {
        // Its own fault, to be seen as such: who tells, and who else listens, goes on.
        queueMicrotask(() => {
          throw error;
        });
      }
  }
}
