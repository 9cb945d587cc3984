// Imports point one way (docs/architecture.md). Each row may import the rows above it; rooms of one row never import
// each other. A new room gets its place here first.
const rows = [
  ['database'],
  ['cluster'],
  ['changes'],
  ['mail'],
  ['sessions'],
  ['accounts'],
  ['pairing', 'messaging', 'chats', 'sync', 'files'],
  ['delivery', 'outbound', 'phones', 'ops', 'web'],
];
// The packages beside the server, each with those it may import.
const packages = [['protocol'], ['client', 'protocol'], ['web', 'client', 'protocol'], ['phone', 'client', 'protocol']];
// Files right in src/: these wire everything; all others (env, errors, metrics) are the ground that every room stands on.
const app = '^src/(app\\.[^/]+|main|rotate-key|studio)\\.ts$';
const room = (names) => `^src/(${names.join('|')})/`;

const oneWay = rows.flatMap((row, level) =>
  row.map((name) => {
    const closed = [...row.filter((other) => other !== name), ...rows.slice(level + 1).flat()];
    return {
      name: `${name}-imports-downward`,
      comment: `${name}/ may import only: ground files, ${rows.slice(0, level).flat().join(', ') || 'nothing else'}.`,
      severity: 'error',
      from: { path: room([name]) },
      to: { path: [...(closed.length > 0 ? [room(closed)] : []), app] },
    };
  }),
);

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    ...oneWay,
    {
      name: 'ground-imports-no-room',
      comment: 'env, errors and metrics stand below every room.',
      severity: 'error',
      from: { path: '^src/[^/]+\\.ts$', pathNot: app },
      to: { path: '^src/.+/', pathNot: '^src/generated/' },
    },
    {
      name: 'ground-imports-no-app',
      severity: 'error',
      from: { path: '^src/[^/]+\\.ts$', pathNot: app },
      to: { path: app },
    },
    {
      name: 'every-room-has-its-place',
      comment: 'A folder in src/ that has no row in .dependency-cruiser.mjs.',
      severity: 'error',
      from: { path: '^src/(main|app\\.|[^/]+/)' },
      to: { path: '^src/[^/]+/', pathNot: [room(rows.flat()), '^src/generated/'] },
    },
    {
      name: 'src-stands-alone',
      comment: 'The server never needs its tests, benchmarks, demo or scripts, nor what stands at its ends.',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|demo|scripts|client|web|phone)/' },
    },
    ...packages.map(([name, ...mayImport]) => ({
      name: `${name}-is-a-package`,
      comment: `${name}/ may import only: ${mayImport.join(', ') || 'nothing'} and what its package.json names.`,
      severity: 'error',
      from: { path: `^${name}/` },
      to: {
        path: `^(src|test|bench|demo|scripts|${packages.map(([other]) => other).join('|')})/`,
        pathNot: `^(${[name, ...mayImport].join('|')})/`,
      },
    })),
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-orphans',
      severity: 'error',
      from: { orphan: true, path: '^src/', pathNot: [app, '^src/generated/', '\\.d\\.ts$'] },
      to: {},
    },
    {
      name: 'only-declared-packages',
      comment: 'Used by src/, so it has to be in "dependencies" (or the optional ones).',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
    { name: 'nothing-unresolvable', severity: 'error', from: { path: '^src/' }, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: ['node_modules', '^src/generated/'] },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
