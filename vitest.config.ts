import { configDefaults, defineConfig } from 'vitest/config';

const clusterTests = 'test/cluster/**/*.test.ts';

export default defineConfig({
  test: {
    environment: 'node',
    pool: 'forks',
    reporters: ['default', './test/real/support/missing-parts-reporter.ts'],
    testTimeout: 30_000,
    // The default, a second, is luck where several test files share two processors.
    expect: { poll: { timeout: 15_000 } },
    hookTimeout: 120_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'process',
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, clusterTests],
          // By default one processor is left idle, and there may be two of them.
          maxWorkers: '100%',
          sequence: { groupOrder: 0 },
        },
      },
      // A machine has room for one cluster, and that cluster needs the processors for itself: last, one file at a time.
      {
        extends: true,
        test: {
          name: 'cluster',
          include: [clusterTests],
          fileParallelism: false,
          testTimeout: 90_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
