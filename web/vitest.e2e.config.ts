import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    environment: 'node',
    include: ['e2e/**/*.test.ts'],
    fileParallelism: false, // one browser at a time: frame rates are what is measured
    // Waits have limits of their own, so that a failure says what was waited for; these are for what hangs.
    testTimeout: 300_000,
    hookTimeout: 200_000,
  },
});
