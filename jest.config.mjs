import { availableParallelism } from 'node:os';
import { swcOptions } from './test/support/typescript.mjs';

export default {
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', swcOptions] },
  // TypeScript's imports name the file that will be there after the build.
  moduleNameMapper: {
    '^(\\.{1,2}/.*)(?<!\\.json)\\.js$': '$1',
    // Our own packages, as they lie there.
    '^@pairline/(protocol|client)$': '<rootDir>/$1/src/index.ts',
    '^@pairline/client/(browser|node)$': '<rootDir>/client/src/$1.ts',
  },
  globalSetup: '<rootDir>/test/support/global-setup.mjs',
  globalTeardown: '<rootDir>/test/support/global-teardown.mjs',
  testSequencer: '<rootDir>/test/support/sequencer.mjs',
  testTimeout: 30_000,
  // As many as there are cores, up to what one Postgres serves: a third on two cores saves little, and makes clients wait for each other.
  maxWorkers: Math.min(6, Math.max(2, availableParallelism())),
  // What modules leave behind in a worker grows from file to file; a new one starts in less than a second.
  workerIdleMemoryLimit: '1GB',
};
