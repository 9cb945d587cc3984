// Figures side by side: medians, ratios, and whether they are what issue and aim ask for.

/** @param {number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * @typedef {{ atLeast: number } | { atMost: number } | { plusAtMost: number }} Bound on the ratio ours / reference, or on the difference
 * @typedef {object} Row
 * @property {string} measure
 * @property {string} unit
 * @property {number[]} ours one figure a round
 * @property {number[]} reference
 * @property {Bound} [must]
 * @property {Bound} [aim]
 */

const words = (bound, unit) => {
  if (bound === undefined) return '';
  if ('atLeast' in bound) return `≥ ${bound.atLeast}×`;
  if ('atMost' in bound) return `≤ ${bound.atMost}×`;
  return `≤ +${bound.plusAtMost} ${unit}`;
};

const holds = (bound, ours, reference) => {
  if ('atLeast' in bound) return ours / reference >= bound.atLeast;
  if ('atMost' in bound) return ours / reference <= bound.atMost;
  return ours - reference <= bound.plusAtMost;
};

/** Three digits that matter. */
const figure = (value) => {
  if (!Number.isFinite(value)) return '–';
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
};

/**
 * @param {Row} row
 * @returns {{ measure: string, ours: string, reference: string, ratio: string, must: string, aim: string, verdict: string }}
 */
function cells({ measure, unit, ours, reference, must, aim }) {
  const [a, b] = [median(ours), median(reference)];
  const bound = must ?? aim;
  const difference = bound !== undefined && 'plusAtMost' in bound;
  return {
    measure,
    ours: `${figure(a)} ${unit}`,
    reference: `${figure(b)} ${unit}`,
    ratio: difference ? `${a >= b ? '+' : '−'}${figure(Math.abs(a - b))} ${unit}` : `${figure(a / b)}×`,
    must: words(must, unit),
    aim: words(aim, unit),
    verdict:
      must !== undefined && !holds(must, a, b)
        ? 'NO'
        : aim === undefined
          ? must
            ? 'ok'
            : ''
          : holds(aim, a, b)
            ? 'aim'
            : 'ok',
  };
}

const HEAD = {
  measure: 'measure',
  ours: 'ours',
  reference: 'reference',
  ratio: 'ratio',
  must: 'must',
  aim: 'aim',
  verdict: 'ok?',
};

/** @param {Row[]} rows */
export function markdown(rows) {
  const line = (cell) => `| ${Object.values(cell).join(' | ')} |`;
  return [line(HEAD), '|---|---:|---:|---:|---|---|---|', ...rows.map((row) => line(cells(row)))].join('\n');
}

/** @param {Row[]} rows */
export function table(rows) {
  const all = [HEAD, ...rows.map(cells)];
  const widths = Object.keys(HEAD).map((key) => Math.max(...all.map((cell) => cell[key].length)));
  const line = (cell) =>
    Object.keys(HEAD)
      .map((key, i) => (i === 0 || i > 3 ? cell[key].padEnd(widths[i]) : cell[key].padStart(widths[i])))
      .join('  ')
      .trimEnd();
  return [line(HEAD), widths.map((width) => '-'.repeat(width)).join('  '), ...all.slice(1).map(line)].join('\n');
}

/** The rows that miss what they must. */
export const misses = (/** @type {Row[]} */ rows) => rows.filter((row) => cells(row).verdict === 'NO');
