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
  testTimeout: 30_000,
  maxWorkers: 2,
};
