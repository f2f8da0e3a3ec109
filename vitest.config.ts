import { defineConfig } from 'vitest/config';

// The default export is what vitest reads; it is the only one in the project.
export default defineConfig({
  ssr: { resolve: { conditions: ['assay-source', 'node', 'import', 'default'] } },
  resolve: { conditions: ['assay-source', 'node', 'import', 'default'] },
  test: {
    include: ['test/**/*.test.ts'],
    environment: 'node',
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
