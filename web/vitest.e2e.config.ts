import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    environment: 'node',
    include: ['e2e/**/*.test.ts'],
    fileParallelism: false, // one browser at a time: frame rates are what is measured
    testTimeout: 90_000,
    hookTimeout: 60_000,
  },
});
