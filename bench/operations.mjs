// The other end of `Worker` in worker.mjs: a child process answers operations by name.

/** @param {number} ms */
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Waits until something holds, looking every few milliseconds.
 * @param {() => boolean} holds
 * @param {number} timeoutMs
 */
export async function until(holds, timeoutMs) {
  for (const end = performance.now() + timeoutMs; !holds(); await sleep(5)) if (performance.now() > end) return false;
  return true;
}

/**
 * @param {Record<string, (args: any) => any>} operations
 * @param {() => string} lost which connection was lost since it was asked last: that makes what was measured void
 */
export function answerCalls(operations, lost = () => '') {
  process.on(
    'message',
    async (/** @type {{ id: number, operation: string, args: object }} */ { id, operation, args }) => {
      try {
        const result = await operations[operation](args);
        const what = lost();
        if (what !== '') throw new Error(`a connection was lost: ${what}`);
        process.send({ id, result });
      } catch (error) {
        lost();
        process.send({ id, error: error.stack });
      }
    },
  );
  process.on('disconnect', () => process.exit());
}
