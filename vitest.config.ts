import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    environment: 'node',
    pool: 'forks',
    reporters: ['default', './test/real/support/missing-parts-reporter.ts'],
    testTimeout: 30_000,
    hookTimeout: 120_000,
  },
});
