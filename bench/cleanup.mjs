// Nothing that the bench started outlives it, however it ends.

/** @type {Set<() => void>} */
const ends = new Set();

/**
 * Registers what to do, at once and without waiting, should the bench end before it has done so in good order.
 * @param {() => void} end
 * @returns {() => void} takes it back
 */
export function atExit(end) {
  ends.add(end);
  return () => ends.delete(end);
}

process.on('exit', () => {
  for (const end of [...ends].reverse()) {
    try {
      end();
    } catch (error) {
      console.error(error);
    }
  }
});
for (const [signal, code] of /** @type {const} */ ([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
]))
  process.on(signal, () => process.exit(code));
